"""Synthetic traces."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from . import _core
from ._core import Interrupt
from ._errors import unless_unwritten
from ._presets import Value, text_of
from ._run import ProgressLike, shown
from ._trace import Trace
from ._types import checked


@checked
def generate(
    workload: str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: Mapping[str, Value] | None = None,
    *,
    zstd_level: int = 3,
    threads: int = 0,
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
) -> Trace:
    """Makes a synthetic trace, ``kvplace generate``, and opens it.

    :param workload: name of a preset (``list_generators()``), or a settings file (.toml).
    :param out: trace to write.
    :param settings: keys of docs/verbs/generate.md to values, as ``{"steps": 100, "churn.overlap": 0.8}``.
    :param threads: worker threads; 0 for one per core. The trace does not depend on it.

    Raises BadInput if a setting is unknown, out of range or contradicts another.
    """
    texts = [(key, text_of(value)) for key, value in (settings or {}).items()]
    with shown(progress) as sink:
        _core.generate(os.fspath(workload), texts, out, zstd_level, threads, sink, interrupt)
    return Trace(out)


@checked
def generate_like(
    trace: Trace,
    out: str | os.PathLike[str] | None = None,
    *,
    save_config: str | os.PathLike[str] | None = None,
    prompt_tokens: int | None = None,
    layers: int | None = None,
    steps: int | None = None,
    ranking_depth: int | None = None,
    seed: int = 0,
    tokens_per_step: int = 1,
    zstd_level: int = 3,
    threads: int = 0,
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
) -> dict[str, Any]:
    """Fits a synthetic twin to a trace, ``kvplace generate --like``, and writes it if ``out`` is given.

    What is not given of the shape is as in the trace; with ``tokens_per_step`` a step decodes several tokens, and reads
    what any of them does. ``save_config`` names a settings file (.toml) to write: ``generate``
    of it makes the same trace. Returns the fit: original and twin side by side, with the keys of
    docs/json.md.
    """
    with shown(progress) as sink:
        fit, outputs = _core.generate_like(trace, out, save_config, prompt_tokens, layers, steps, ranking_depth, seed,
                                           tokens_per_step, zstd_level, threads, sink, interrupt)
    return unless_unwritten(dict(json.loads(fit)), outputs)
