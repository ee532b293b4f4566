"""From a deployment to an answer: ``kvplace advise``."""

from __future__ import annotations

import json
import os
from typing import Any

from . import _core
from ._core import Interrupt
from ._errors import unless_unwritten
from ._instance import _KEYWORDS, Instance, PresetLike, entries_of
from ._run import ProgressLike, shown
from ._shown import Shown
from ._trace import Trace
from ._types import check_keywords, checked


class Advice(Shown):
    """What fits, how fast it is, what to set and what more would buy."""

    _kind = "advise"

    @checked
    def __init__(self, values: dict[str, Any], text: str) -> None:
        self._values = values
        self._text = text

    def to_dict(self) -> dict[str, Any]:
        """What ``kvplace advise --json`` prints (docs/json.md)."""
        return self._values

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def _rows(self) -> list[dict[str, Any]]:
        speeds = {"all_near": "all near", "engine": "engine", "best_policy": "best policy", "bound": "bound"}
        return [{"batch": point["batch"], **{f"{name}, tokens/s": point[key] and point[key]["tokens_per_s"]
                                             for key, name in speeds.items()}} for point in self._values["points"]]

    def __repr__(self) -> str:
        return self._text.rstrip("\n")


@checked
def advise(
    model: PresetLike,
    hardware: PresetLike,
    context: str | int | None = None,
    *,
    output: str | int = "1K",
    batch: int = 1,
    engine: str | os.PathLike[str] | None = None,
    trace: Trace | None = None,
    workload: str = "",
    target: float = 0,
    config: str | os.PathLike[str] | None = None,
    time_limit: float = 50,
    html: str | os.PathLike[str] | None = None,
    threads: int = 0,
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
    **keywords: Any,
) -> Advice:
    """From a deployment to an answer, ``kvplace advise``.

    :param model: preset, FILE.toml, or a Hugging Face config.json (or a folder that holds one).
    :param hardware: preset or FILE.toml.
    :param context: tokens of a request before it is decoded: ``65536`` or ``"64K"``; default: the trace's.
    :param output: tokens that are decoded.
    :param batch: requests.
    :param engine: preset or FILE.toml; default: an ideal one.
    :param trace: what a request reads; default: a synthetic workload.
    :param workload: its name; default: that which fits the model.
    :param target: tokens/s that each request is to get; 0 for none.
    :param config: TOML file, as for Instance.
    :param time_limit: of bounds and of what is varied, seconds.
    :param html: also write a page (.html) to look at and to send.
    :param threads: worker threads; 0 for one per core.
    :param progress: True for tqdm bars, or an object with the methods of ``kvplace.Progress``.
    :param interrupt: stops the call from another thread.
    :param keywords: those of Instance (``gpus``, ``kv_dtype``), and fields by their key.

    Raises BadInput, as Instance does; Interrupted; Failed with the advice as its ``result`` if the disk is full;
    KeyboardInterrupt after Ctrl-C.
    """
    check_keywords(Instance.__init__, keywords)
    options = {key: keywords.pop(key) for key in _KEYWORDS if key in keywords}
    options["batch"] = batch
    entries = entries_of(config, hardware, model, engine, options, keywords)
    tokens = "" if context is None else str(context)
    with shown(progress) as sink:
        values, text, outputs = _core.advise(entries, tokens, str(output), trace, workload, target, time_limit,
                                             "" if html is None else os.fspath(html), threads, sink, interrupt)
    return unless_unwritten(Advice(json.loads(values), text), outputs)
