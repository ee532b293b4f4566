"""The answer to look at and to send: ``kvplace report``."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from . import _core
from ._compare import comparison_rows
from ._core import Interrupt
from ._errors import BadInput, unless_unwritten
from ._instance import Instance
from ._run import ProgressLike, shown
from ._shown import Shown
from ._trace import Trace
from ._types import checked


class Report(Shown):
    """What a page shows; its repr is the verdict."""

    _kind = "report"

    @checked
    def __init__(self, values: dict[str, Any], verdict: list[str]) -> None:
        self._values = values
        self.verdict = verdict

    #: Sentences: which policy comes closest to what is possible, and whether placement matters.
    verdict: list[str]

    def to_dict(self) -> dict[str, Any]:
        """What ``kvplace report --json`` prints (docs/json.md)."""
        return self._values

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def _rows(self) -> list[dict[str, Any]]:
        return comparison_rows(self._values["comparison"])

    def __repr__(self) -> str:
        return "\n".join(self.verdict)


@checked
def report(
    trace: Trace,
    instance: Instance,
    out: str | os.PathLike[str],
    policies: str | Sequence[str] | None = None,
    *,
    time_limit: float = 60,
    threads: int = 0,
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
) -> Report:
    """Compares, proves bounds, sweeps near capacity and link, and writes one page (.html), ``kvplace report``.

    :param policies: as for ``compare``; of its default a few are shown along near capacity and link.
    :param time_limit: of the certified bounds along near capacity and link, seconds.
    :param threads: worker threads; 0 for one per core. Results do not depend on it.
    :param progress: True for tqdm bars, or an object with the methods of ``kvplace.Progress``.
    :param interrupt: stops the call from another thread.

    Raises BadInput, as ``compare`` does, or if the page cannot be made there; Interrupted, without a page; Failed with
    the report as its ``result`` if the disk is full; KeyboardInterrupt after Ctrl-C.
    """
    if not time_limit >= 0:
        raise BadInput(f"time_limit: {time_limit!r} is no number of seconds of at least 0")
    texts = [policies] if isinstance(policies, str) else list(policies or ())
    with shown(progress) as sink:
        values, verdict, outputs = _core.report(trace, instance, texts, os.fspath(out), time_limit, threads, sink,
                                                interrupt)
    return unless_unwritten(Report(json.loads(values), verdict), outputs)
