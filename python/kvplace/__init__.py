"""kvplace: what each placement of an LLM's KV cache across near and far memory costs, and what is possible.

>>> import kvplace
>>> trace = kvplace.bundled_trace()
>>> instance = kvplace.Instance(trace, hardware="h100-sxm-pcie5", near_blocks_per_layer=96, weight_bytes_per_step=0)
>>> kvplace.compare(trace, instance, ["lru", "belady-global"])

What the command ``kvplace`` does is here too, with the same words, but for ``calibrate`` and ``run``: docs/python.md.
"""

from . import _core, select
from ._advise import Advice, advise
from ._bound import ProvenBound, VerifiedBound, bound, verify
from ._compare import Bounds, Comparison, Replay, Result, compare, record_schedule, replay
from ._core import Interrupt, Record
from ._demo import bundled_trace, demo
from ._errors import BadInput, Error, Failed, Interrupted, Rejected
from ._generate import generate, generate_like
from ._instance import Instance, show_config
from ._presets import (Hardware, Model, Preset, list_engines, list_formats, list_generators, list_hardware, list_models,
                       list_policies, list_results, list_settings)
from ._record import record
from ._run import Progress
from ._size import BudgetCheck, BudgetOutcome, LayerBudgets, Size, SizeAnswer, SizeProbe, budgets, size
from ._trace import Trace, TraceInfo
from ._trace_writer import TraceWriter, from_arrays, import_trace, merge

__version__: str = _core.version()

__all__ = [
    "Advice", "BadInput", "Bounds", "BudgetCheck", "BudgetOutcome", "Comparison", "Error", "Failed", "Hardware", "Instance",
    "Interrupt", "Interrupted", "LayerBudgets", "Model", "Preset", "Progress", "ProvenBound", "Record", "Rejected",
    "Replay", "Result", "Size", "SizeAnswer", "SizeProbe", "Trace", "TraceInfo", "TraceWriter", "VerifiedBound",
    "advise", "bound", "budgets", "bundled_trace", "compare", "demo", "from_arrays", "generate", "generate_like", "import_trace",
    "list_engines", "list_formats", "list_generators", "list_hardware", "list_models", "list_policies", "list_results",
    "list_settings", "merge", "record", "record_schedule", "replay", "select", "show_config", "size", "verify",
]


def __getattr__(name: str) -> object:
    """``TieredCache`` needs torch and transformers, which are imported when it is asked for."""
    if name == "TieredCache":
        from .tiered_cache import TieredCache

        return TieredCache
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
