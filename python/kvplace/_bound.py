"""Certified bounds: how fast any placement could be, and re-checking the proof."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from typing import Any

from . import _core
from ._core import Interrupt
from ._errors import BadInput, unless_unwritten
from ._instance import Instance
from ._run import ProgressLike, shown
from ._shown import Shown
from ._trace import Trace
from ._types import checked


class ProvenBound(Shown):
    """A time that no schedule which ``holds_for`` describes beats, and the schedule near it; its repr is the command's
    text."""

    _kind = "bound"

    def __init__(self, values: dict[str, Any], text: str) -> None:
        self._values = values
        self._text = text.rstrip("\n")

    @property
    def bound_s(self) -> float:
        """Seconds of the modelled machine over all decode steps; no schedule that ``holds_for`` describes takes less."""
        return float(self._values["bound_s"])

    @property
    def bound_exact(self) -> Fraction:
        """The same, exactly."""
        return Fraction(self._values["bound_exact"])

    @property
    def any_s(self) -> float:
        """The same for schedules whose copies may span steps; ``to_dict()["any"]`` has more of it."""
        return float(self._values["any"]["bound_s"])

    @property
    def best_schedule_s(self) -> float | None:
        """Seconds that the planned schedule takes when it is replayed; None if none was asked for."""
        return self._values["best_schedule_s"]  # type: ignore[no-any-return]

    @property
    def gap(self) -> float | None:
        """best_schedule_s / bound_s - 1."""
        return self._values["gap"]  # type: ignore[no-any-return]

    @property
    def status(self) -> str:
        """How the search for the bound ended: "converged", "time_limit" or "interrupted"; it is valid in any case."""
        return str(self._values["status"])

    @property
    def planning_status(self) -> str | None:
        """How planning ended: "converged", "near_enough" (as ``gap`` wants), "time_limit" or "interrupted"; None if no
        schedule was asked for."""
        return self._values["planning_status"]  # type: ignore[no-any-return]

    @property
    def holds_for(self) -> str:
        """The schedules that the bound speaks about, in words."""
        return str(self._values["holds_for"])

    @property
    def capacity_price_s_per_gib(self) -> float:
        """Seconds by which one more GiB of near capacity, of one request, lowers the bound, at most."""
        return float(self._values["capacity_price_s_per_gib"])

    @property
    def exact(self) -> dict[str, Any] | None:
        """``lp_s``, ``milp_s`` and more of the exact solution, if it was asked for (docs/json.md)."""
        return self._values.get("exact")

    def to_dict(self) -> dict[str, Any]:
        """The command's JSON object (docs/json.md)."""
        return self._values

    def _rows(self) -> list[dict[str, Any]]:
        found = {"bound": self.bound_s, "any": self.any_s, "planned schedule": self.best_schedule_s}
        return [{"": name, "seconds": seconds} for name, seconds in found.items()]

    def __repr__(self) -> str:
        return self._text


class VerifiedBound:
    """What a certificate proves, recomputed from it and the trace alone; its repr is the command's text."""

    def __init__(self, values: dict[str, Any], text: str) -> None:
        self._values = values
        self._text = text.rstrip("\n")

    @property
    def bound_s(self) -> float:
        """Seconds, rounded down; no schedule that ``holds_for`` describes takes less."""
        return float(self._values["bound_s"])

    @property
    def bound_exact(self) -> Fraction:
        """The same, exactly."""
        return Fraction(self._values["bound_exact"])

    @property
    def holds_for(self) -> str:
        """The schedules that the bound speaks about, in words."""
        return str(self._values["holds_for"])

    @property
    def certificate(self) -> dict[str, Any]:
        """What it speaks about: trace, machine, capacity, mode, with the keys of docs/certificate.md."""
        return self._values["certificate"]  # type: ignore[no-any-return]

    def to_dict(self) -> dict[str, Any]:
        """The command's JSON object (docs/json.md)."""
        return self._values

    def __repr__(self) -> str:
        return self._text


@checked
def bound(
    trace: Trace,
    instance: Instance,
    *,
    certificate: str | os.PathLike[str] | None = None,
    any_certificate: str | os.PathLike[str] | None = None,
    schedule: str | os.PathLike[str] | None = None,
    values: str | os.PathLike[str] | None = None,
    exact: bool = False,
    time_limit: float = 120,
    gap: float = 0,
    resume: bool = False,
    threads: int = 0,
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
) -> ProvenBound:
    """Proves how fast any placement could be, ``kvplace bound``.

    :param certificate: file (.cert) to write the proof to; ``verify`` re-checks it.
    :param any_certificate: file (.cert) for the proof of ``any_s``, the bound for schedules whose copies may span steps.
    :param schedule: also plan a schedule near the bound, store it there (.kvs) and replay it.
    :param values: also write what residency is worth after each read of the trace, in its order, as a NumPy file of
        float32 seconds (docs/verbs/bound.md, "The worth of residency").
    :param exact: also solve the linear relaxation and search all schedules; small instances only.
    :param time_limit: of everything: search, exact solution and planning, seconds.
    :param gap: planning ends once the schedule is so near the bound, as a share of it: 0.01 is the command's 1%.
    :param resume: start from what the certificates of those names prove already.
    :param threads: worker threads; 0 for one per core. The result does not depend on it.
    :param progress: True for tqdm bars, or an object with the methods of ``kvplace.Progress``.
    :param interrupt: stops the search from another thread; the best bound found until then is returned.

    Raises, before the search, BadInput if an output cannot be made or is an input, if the instance is too large for
    ``exact``, or if the certificate to resume from is another instance's; Rejected if that certificate is damaged; Failed
    if another run writes an output. Raises Failed with the bound as its ``result`` if the disk is full in the end;
    KeyboardInterrupt after Ctrl-C.
    """
    if not time_limit >= 0:
        raise BadInput(f"time_limit: {time_limit!r} is no number of seconds of at least 0")
    if not gap >= 0:
        raise BadInput(f"gap: {gap!r} is no share of at least 0")
    if resume and certificate is None and any_certificate is None:
        raise BadInput("resume starts from a certificate: name it with certificate=")
    certificate, any_certificate, schedule, values = (
        "" if name is None else os.fspath(name) for name in (certificate, any_certificate, schedule, values))
    with shown(progress) as sink:
        raw = _core.prove(trace, instance, certificate, any_certificate, schedule, values, exact, time_limit, gap,
                          resume, threads, sink, interrupt)
    proven = ProvenBound(json.loads(raw.json(instance)), _core.describe(trace, instance) + "\n" + raw.table(instance))
    return unless_unwritten(proven, raw.outputs)


@checked
def verify(
    trace: Trace,
    certificate: str | os.PathLike[str],
    *,
    instance: Instance | None = None,
    threads: int = 0,
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
) -> VerifiedBound:
    """Re-checks a certificate against the trace, ``kvplace verify``. Arguments as those of ``bound``.

    :param instance: that is meant; a certificate about another one is rejected.

    Raises Rejected if it is damaged, speaks about another trace or instance, or has prices that prove nothing; BadInput
    if there is no such file.
    """
    with shown(progress) as sink:
        values, text = _core.verify(trace, os.fspath(certificate), instance, threads, sink, interrupt)
    return VerifiedBound(json.loads(values), text)
