"""Comparisons of policies, and replays of stored schedules."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from . import _core
from ._core import Interrupt
from ._errors import BadInput, unless_unwritten
from ._instance import Instance
from ._run import ProgressLike, shown
from ._shown import Shown
from ._trace import Trace
from ._types import checked

if TYPE_CHECKING:
    import pandas as pd

_TABLE_WIDTH = 100


@dataclass(frozen=True)
class Result:
    """What a policy or a schedule costs. Counts are of the trace's one request; bytes and times of the whole batch."""

    # Made by scripts/doc_tables.
    #: the name asked for; of a stored schedule, what it says it was made by
    policy: str
    #: name to value, all of them; of a policy found by search, those of the member found
    parameters: dict[str, float]
    #: ``causal``, ``ranked``, ``lookahead``, ``oracle`` or ``ideal``; of a replayed schedule ``stored``
    information: str
    #: replayed (decode steps)
    steps: int
    #: total time (s)
    total_s: float
    #: tokens decoded by all requests / total time (tokens/s)
    tokens_per_s: float
    #: near_reads + far_reads (blocks)
    reads: int
    #: near and not in flight, or appended to in the step that reads them (blocks)
    near_reads: int
    #: all others (blocks)
    far_reads: int
    #: copied from far to near, or issued to be; newborn blocks that stay near are not copied (blocks)
    promotions: int
    #: evictions that had to be written to far: exclusive mode only (blocks)
    demotions: int
    #: left near (blocks)
    evictions: int
    #: on ``near.mem``: reads, writes, migrations, weights (bytes)
    near_bytes: int
    #: on ``far.link_read``, far to near (bytes)
    far_read_bytes: int
    #: on ``far.link_write``, near to far (bytes)
    far_write_bytes: int
    #: most blocks near, those in flight included, at the end of a step or at the start (blocks)
    peak_near_blocks: int
    #: weights and KV read from both sides / total time (1e9 bytes/s)
    aggregate_gb_per_s: float
    #: the same over near bandwidth + min(far.link_read, far.mem) (share)
    aggregate_utilization: float
    #: total time / certified bound - 1, that of ``any`` with copies in the background; None without one, and of an
    #: ``ideal``, which no placement reaches (share)
    gap_to_bound: float | None
    #: total time / perfect split - 1; None of an ``ideal`` (share)
    gap_to_perfect_split: float | None
    #: one number per layer (blocks)
    far_reads_by_layer: list[int]
    #: channel name to steps in which it took longest (decode steps with barrier token); the first of equals (steps)
    bottleneck_steps: dict[str, int]
    #: only of a policy found by search: what was found, as text
    found: str | None = None
    #: only of ``planned``: how its planning ended, as for ``bound``
    planning_status: str | None = None
    #: only of a served batch: within which half of all tokens come, each in the time of its decode step (s)
    token_time_p50_s: float | None = None
    #: only of a served batch: the same of 99 % (s)
    token_time_p99_s: float | None = None

    @classmethod
    @checked
    def from_dict(cls, values: dict[str, Any]) -> Result:
        """Of the command's JSON; keys it does not know are left out."""
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})


@dataclass(frozen=True)
class Bounds:
    """Lower bounds of the mode, and the time with everything near, in seconds."""

    perfect_split_s: float  #: every step's reads divided best between the sides; no schedule is faster
    all_near_s: float  #: everything read from near: a machine with enough near memory; no bound
    certified_s: float | None  #: a certified lower bound, None if none is computed
    certified_status: str | None  #: how the search for it ended: "converged", "time_limit" or "interrupted"
    certified_holds_for: str | None  #: the schedules that it speaks about
    certified_any_s: float | None  #: the same for schedules whose copies may span steps
    certified_any_status: str | None  #: how the search for that ended
    certified_any_holds_for: str | None  #: the schedules that it speaks about
    certified_mode: str  #: the mode the bounds are for


class _Report:
    """What comparisons and replays share: the command's JSON and its table."""

    def __init__(self, values: dict[str, Any], head: str, table: str) -> None:
        self._values = values
        self._text = (head + "\n" + table).rstrip("\n")
        self.bounds = Bounds(**{field.name: values["bounds"].get(field.name) for field in fields(Bounds)})

    #: Lower bounds.
    bounds: Bounds

    @property
    def manifest(self) -> dict[str, Any]:
        """What made the result: version, commit, machine, digest of each input."""
        return self._values["manifest"]  # type: ignore[no-any-return]

    @property
    def complete(self) -> bool:
        """False after an interrupt: each result covers the decode steps it states."""
        return bool(self._values["status"] == "complete")

    def to_dict(self) -> dict[str, Any]:
        """The command's JSON object (docs/json.md)."""
        return self._values

    def __repr__(self) -> str:
        return self._text


def comparison_rows(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Of the JSON of a comparison: a row per policy, the fastest first."""
    return [{"policy": result["policy"], "knows": result["information"],
             "time per token, s": 1 / result["tokens_per_s"] if result["tokens_per_s"] else None,
             "hit ratio": result["near_reads"] / result["reads"] if result["reads"] else None,
             "gap to bound": result["gap_to_bound"]}
            for result in sorted(values["results"], key=lambda result: float(result["total_s"]))]


class Comparison(_Report, Shown, Sequence[Result]):
    """Several policies on one instance, beside what is possible: a sequence of results, in the order asked for.

    ``comparison[0]``, ``comparison["lru"]``, ``for result in comparison``; its repr is the command's table.
    """

    _kind = "compare"

    def __init__(self, values: dict[str, Any], head: str, table: str) -> None:
        super().__init__(values, head, table)
        self.results = [Result.from_dict(result) for result in values["results"]]

    #: One per policy, in the order asked for.
    results: list[Result]

    @property
    def placement_matters(self) -> bool | None:
        """False if ``static``, which moves nothing, and all policies compared are within 1 % of the lower bound; True if
        two of these placements differ by more than 1 %; None if neither is known."""
        return self._values["placement_matters"]  # type: ignore[no-any-return]

    @property
    def static_s(self) -> float | None:
        """Seconds of the policy ``static``, compared or not; None after an interrupt."""
        return self._values["static_s"]  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return len(self.results)

    @checked
    def __getitem__(self, which: int | slice | str) -> Any:
        """The result at an index, or the first of a policy's name; a list for a slice."""
        if isinstance(which, str):
            for result in self.results:
                if result.policy == which:
                    return result
            raise KeyError(f"{which}: compared were {', '.join(result.policy for result in self.results)}")
        return self.results[which]

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    def _rows(self) -> list[dict[str, Any]]:
        return comparison_rows(self._values)

    def to_pandas(self) -> pd.DataFrame:
        """One row per policy, columns as the fields of Result. Needs pandas."""
        import pandas as pd

        return pd.DataFrame([vars(result) for result in self.results], columns=[f.name for f in fields(Result)])


class Replay(_Report):
    """What a stored schedule costs: ``result``, beside the bounds."""

    def __init__(self, values: dict[str, Any], head: str, table: str) -> None:
        super().__init__(values, head, table)
        self.result = Result.from_dict(values["result"])

    #: Its ``policy`` is what the schedule says it was made by.
    result: Result


@checked
def compare(
    trace: Trace,
    instance: Instance,
    policies: str | Sequence[str] | None = None,
    *,
    bound: bool = False,
    schedule_out: str | os.PathLike[str] | None = None,
    html: str | os.PathLike[str] | None = None,
    threads: int = 0,
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
) -> Comparison:
    """What each placement policy costs on a trace and a machine, ``kvplace compare``.

    :param policies: ``"NAME"`` or ``"NAME:key=value,..."`` each (``list_policies()``); ``"all"`` stands for all but those
        that need passes of their own; default: a short list of these.
    :param bound: also prove a lower bound, and how far each policy is above it.
    :param schedule_out: also store the decisions of the one policy as a schedule (.kvs).
    :param html: also write a page (.html) to look at and to send.
    :param threads: worker threads; 0 for one per core. Results do not depend on it.
    :param progress: True for tqdm bars, or an object with the methods of ``kvplace.Progress``.
    :param interrupt: stops the call from another thread; the results then cover the steps replayed so far, and
        ``complete`` is False.

    Raises BadInput if a policy is unknown or not possible on the instance, or if the schedule cannot be made there;
    Failed with the comparison as its ``result`` if the disk is full; KeyboardInterrupt after Ctrl-C.
    """
    texts = [policies] if isinstance(policies, str) else list(policies or ())
    if schedule_out is not None and len(texts) != 1:
        raise BadInput("schedule_out stores one policy's schedule: name one policy")
    with shown(progress) as sink:
        raw = _core.compare(trace, instance, texts, bound, os.fspath(schedule_out or ""), os.fspath(html or ""), threads,
                            sink, interrupt)
    comparison = Comparison(json.loads(raw.json(instance)), _core.describe(trace, instance),
                            raw.table(instance, _TABLE_WIDTH))
    return unless_unwritten(comparison, raw.outputs)


@checked
def record_schedule(
    trace: Trace,
    instance: Instance,
    policy: str,
    out: str | os.PathLike[str],
    *,
    threads: int = 0,
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
) -> None:
    """Stores what a policy decides as a schedule (.kvs). Arguments as those of ``compare``.

    Raises Interrupted if it was stopped; no file is written then.
    """
    with shown(progress) as sink:
        _core.record_schedule(trace, instance, policy, out, threads, sink, interrupt)


@checked
def replay(
    trace: Trace,
    schedule: str | os.PathLike[str],
    instance: Instance,
    *,
    threads: int = 0,
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
) -> Replay:
    """What a stored schedule costs, checked step by step, ``kvplace replay``. Arguments as those of ``compare``.

    Raises Rejected if the schedule is damaged, was made for another trace, shape or mode, or breaks a rule.
    """
    with shown(progress) as sink:
        raw = _core.replay(trace, schedule, instance, threads, sink, interrupt)
    return Replay(json.loads(raw.json(trace, instance)), _core.describe(trace, instance),
                  raw.table(instance, _TABLE_WIDTH))
