"""The main job on the bundled trace."""

from __future__ import annotations

from pathlib import Path

from ._compare import Comparison, compare
from ._errors import BadInput
from ._instance import Instance
from ._run import ProgressLike
from ._trace import Trace
from ._types import checked


@checked
def bundled_trace(name: str = "smollm2-holmes-page16-k64") -> Trace:
    """A trace that comes with the package. Raises BadInput, with the names there are, if it has none of that name."""
    folder = Path(__file__).with_name("share") / "kvplace" / "data"
    path = folder / f"{name}.kvt"
    if not path.exists():
        raise BadInput(f"{path}: no such bundled trace; there are {', '.join(sorted(p.stem for p in folder.glob('*.kvt')))}")
    return Trace(path)


@checked
def demo(*, threads: int = 0, progress: ProgressLike = None) -> Comparison:
    """All policies on the bundled trace and a machine at which placement matters, ``kvplace demo``."""
    trace = bundled_trace()
    instance = Instance(trace, hardware="h100-sxm-pcie5", near_blocks_per_layer=96, weight_bytes_per_step=0)
    return compare(trace, instance, bound=True, threads=threads, progress=progress)
