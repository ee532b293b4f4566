"""Sizing: what must be bought or set for a target, and the best near capacity of each layer."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from . import _core
from ._core import Interrupt
from ._errors import unless_unwritten
from ._instance import Instance
from ._run import ProgressLike, shown
from ._shown import Shown
from ._trace import Trace
from ._types import checked


@dataclass(frozen=True)
class SizeProbe:
    """One configuration that was tried."""

    value: float  #: in the unit of what is searched for: bytes of the machine, blocks per layer, bytes/s, requests
    near_capacity_bytes: int  #: near capacity for the KV of all requests
    link_bytes_per_s: float  #: far to near
    batch: int  #: requests
    total_s: float  #: seconds over all decode steps; of the bound what no schedule beats
    tokens_per_s: float  #: of the whole batch
    reached: bool  #: whether it reaches the target; of the bound whether nothing proves that it cannot


@dataclass(frozen=True)
class SizeAnswer:
    """What one policy needs, or what no policy can do without."""

    policy: str  #: with the parameters not at their defaults, or "(certified)"
    certified: bool  #: of the certified bound
    answer: SizeProbe | None  #: reaches the target; None if nothing in range does
    neighbour: SizeProbe | None  #: the nearest that was tried and does not reach it
    ended_by: str  #: "target": both are there; "range": its end; "time_limit" or "interrupted": more was to be tried
    brackets: list[SizeProbe]  #: all that were tried, in ascending order of value
    worth: dict[str, float | None] | None  #: tokens/s gained by one more GiB, GB/s, point of sparsity (docs/json.md)
    crossover: SizeProbe | None  #: the least batch found that is faster than keeping everything near
    crossover_brackets: list[SizeProbe]  #: the batches tried for it

    @classmethod
    @checked
    def from_dict(cls, values: dict[str, Any]) -> SizeAnswer:
        """Of the command's JSON."""

        def probe(of: dict[str, Any] | None) -> SizeProbe | None:
            return None if of is None else SizeProbe(**{f.name: of[f.name] for f in fields(SizeProbe)})

        def probes(of: list[dict[str, Any]]) -> list[SizeProbe]:
            return [found for found in map(probe, of) if found is not None]

        return cls(values["policy"], values["certified"], probe(values["answer"]), probe(values["neighbour"]),
                   values["ended_by"], probes(values["brackets"]), values["worth"], probe(values["crossover"]),
                   probes(values["crossover_brackets"]))


class _Told(Shown):
    """What both results share: the command's JSON and its text."""

    def __init__(self, values: dict[str, Any], text: str) -> None:
        self._values = values
        self._text = text.rstrip("\n")

    @property
    def manifest(self) -> dict[str, Any]:
        """What made the result: version, commit, machine, digest of each input."""
        return self._values["manifest"]  # type: ignore[no-any-return]

    @property
    def engine_settings(self) -> dict[str, Any] | None:
        """Settings of HiSparse in SGLang and vLLM, in their names, and what they assume; None where it cannot serve what
        the trace stands for, and of ``size`` without an answer for ``lru``."""
        return self._values["engine_settings"]  # type: ignore[no-any-return]

    @property
    def no_engine_settings(self) -> str | None:
        """Why ``engine_settings`` is None; None if it is not."""
        return self._values["no_engine_settings"]  # type: ignore[no-any-return]

    def to_dict(self) -> dict[str, Any]:
        """The command's JSON object (docs/json.md)."""
        return self._values

    def __repr__(self) -> str:
        return self._text


class Size(_Told):
    """What must be bought or set for a target: ``size["lru"].answer``, ``size.bound``; its repr is the command's text."""

    _kind = "size"

    def __init__(self, values: dict[str, Any], text: str) -> None:
        super().__init__(values, text)
        self.answers = [SizeAnswer.from_dict(answer) for answer in values["answers"]]

    def _rows(self) -> list[dict[str, Any]]:
        return [{"policy": answer.policy, str(self._values["find"]): answer.answer and answer.answer.value,
                 "tokens/s": answer.answer and answer.answer.tokens_per_s} for answer in self.answers]

    #: One per policy in the order asked for, then the bound's.
    answers: list[SizeAnswer]

    @property
    def bound(self) -> SizeAnswer:
        """The certified bound's: no policy reaches the target with its neighbour or less."""
        return self.answers[-1]

    @property
    def status(self) -> str:
        """``"complete"``, ``"time_limit"`` or ``"interrupted"``: then the brackets are those so far."""
        return str(self._values["status"])

    @property
    def range(self) -> dict[str, Any] | None:
        """``least`` and ``most`` that may be tried, and ``most_because``, why not more; None for a cost."""
        return self._values["range"]  # type: ignore[no-any-return]

    @property
    def all_near_tokens_per_s(self) -> float:
        """Speed of the instance with all KV near."""
        return float(self._values["all_near_tokens_per_s"])

    @checked
    def __getitem__(self, policy: str) -> SizeAnswer:
        """The answer for a policy, by its name or its text."""
        for answer in self.answers:
            if policy in (answer.policy, answer.policy.split(":")[0]):
                return answer
        raise KeyError(f"{policy}: sized were {', '.join(answer.policy for answer in self.answers)}")


@dataclass(frozen=True)
class BudgetOutcome:
    """What a replay says about some budgets."""

    far_reads: int  #: blocks
    total_s: float  #: seconds


@dataclass(frozen=True)
class BudgetCheck:
    """Replays of one trace with several budgets."""

    file: str  #: the trace
    held_out: bool  #: the budgets were not made from it
    reads: int  #: blocks
    equal: BudgetOutcome  #: the same in each layer
    found: BudgetOutcome  #: the budgets that are the result
    own: BudgetOutcome | None  #: made from this trace alone; None if it is held out
    others: BudgetOutcome | None  #: made from all traces but this; None if it is held out or the only one
    from_each: list[BudgetOutcome]  #: made from each trace alone

    @classmethod
    @checked
    def from_dict(cls, values: dict[str, Any]) -> BudgetCheck:
        """Of the command's JSON."""

        def outcome(of: dict[str, Any]) -> BudgetOutcome:
            return BudgetOutcome(of["far_reads"], of["total_s"])

        def perhaps(of: dict[str, Any] | None) -> BudgetOutcome | None:
            return None if of is None else outcome(of)

        return cls(values["file"], values["held_out"], values["reads"], outcome(values["equal"]),
                   outcome(values["found"]), perhaps(values["own"]), perhaps(values["others"]),
                   [outcome(of) for of in values["from_each"]])


class LayerBudgets(_Told):
    """The best fixed near capacity of each layer: ``Instance(trace, layer_shares=budgets.blocks)``; its repr is the
    command's text."""

    _kind = "budgets"

    def __init__(self, values: dict[str, Any], text: str) -> None:
        super().__init__(values, text)
        self.checks = [BudgetCheck.from_dict(check) for check in values["checks"]]

    def _rows(self) -> list[dict[str, Any]]:
        return [{"layer": layer, "blocks": blocks} for layer, blocks in enumerate(self.blocks)]

    #: Of the traces given, then of those held out.
    checks: list[BudgetCheck]

    @property
    def policy(self) -> str:
        """The policy they are for, with all parameters."""
        return str(self._values["policy"])

    @property
    def blocks(self) -> list[int]:
        """Near blocks of one request, by layer."""
        return self._values["layer_budgets"]  # type: ignore[no-any-return]

    @property
    def equal_are_better(self) -> bool:
        """True: unequal budgets were worse when replayed on the traces they were made from, so equal ones are given."""
        return bool(self._values["equal_are_better"])

    @property
    def mean_blocks(self) -> list[float]:
        """By layer: the mean over budgets made from each trace alone."""
        return self._values["mean_blocks"]  # type: ignore[no-any-return]

    @property
    def deviation_blocks(self) -> list[float]:
        """By layer: their standard deviation, in blocks."""
        return self._values["deviation_blocks"]  # type: ignore[no-any-return]


@checked
def size(
    trace: Trace,
    instance: Instance,
    target: str,
    *,
    find: str = "near-capacity",
    policies: str | Sequence[str] | None = None,
    crossover: bool = False,
    price_near: float = 0,
    price_link: float = 0,
    tolerance: float = 0.001,
    time_limit: float = 300,
    threads: int = 0,
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
) -> Size:
    """What must be bought or set to reach a speed, ``kvplace size``.

    :param target: ``"120tokens/s"``, ``"90%"`` (of the speed with all KV near) or ``"cost=500"``.
    :param find: ``"near-capacity"``, ``"buffer"`` (blocks per layer), ``"link"`` or ``"batch"``; a cost as target
        divides the money between near capacity and link.
    :param policies: ``"NAME"`` or ``"NAME:key=value,..."`` each; default: ``lru``, ``lru-global`` and the flagship.
    :param crossover: also from which batch on tiering is faster than keeping everything near with fewer requests.
    :param price_near: of a GiB of near memory; only for a cost as target.
    :param price_link: of a GB/s of link; only for a cost as target.
    :param tolerance: of the value found, relative.
    :param time_limit: of everything, seconds; after it the brackets so far are returned.
    :param threads: worker threads; 0 for one per core. Results do not depend on it.
    :param progress: True for tqdm bars, or an object with the methods of ``kvplace.Progress``.
    :param interrupt: stops the call from another thread; the brackets so far are returned.

    Raises BadInput if the target, a policy or a price does not fit; Interrupted if there is no bracket yet;
    KeyboardInterrupt after Ctrl-C.
    """
    texts = [policies] if isinstance(policies, str) else list(policies or ())
    with shown(progress) as sink:
        values, text = _core.size(trace, instance, target, find, texts, crossover, price_near, price_link, tolerance,
                                  time_limit, threads, sink, interrupt)
    return Size(json.loads(values), _core.describe(trace, instance) + "\n" + text)


@checked
def budgets(
    instances: Instance | Sequence[Instance],
    policy: str = "lru",
    *,
    held_out: Instance | Sequence[Instance] = (),
    least_blocks: int = 0,
    out: str | os.PathLike[str] | None = None,
    threads: int = 0,
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
) -> LayerBudgets:
    """The best fixed near capacity of each layer for a policy with a buffer per layer, ``kvplace budgets``.

    :param instances: of one or more traces of a model; their near capacity, the same in all, is what is divided.
    :param policy: ``"NAME"`` or ``"NAME:key=value,..."``.
    :param held_out: instances of traces that the budgets are only checked on.
    :param least_blocks: no layer gets less.
    :param out: file (.json or .toml) to write them to, for ``layer_budgets=`` and ``--layer-budgets``.
    :param threads: worker threads; 0 for one per core. Results do not depend on it.
    :param progress: True for tqdm bars, or an object with the methods of ``kvplace.Progress``.
    :param interrupt: stops the call from another thread; nothing is written then.

    Raises BadInput if the instances do not fit together or the policy has no buffer per layer; Interrupted;
    KeyboardInterrupt after Ctrl-C.
    """
    given = [instances] if isinstance(instances, Instance) else list(instances)
    checked = [held_out] if isinstance(held_out, Instance) else list(held_out)
    name = "" if out is None else os.fspath(out)
    with shown(progress) as sink:
        values, text, outputs = _core.budgets([i.trace for i in given], given, [i.trace for i in checked], checked, policy,
                                     least_blocks, name, threads, sink, interrupt)
    return unless_unwritten(LayerBudgets(json.loads(values), repr(given[0]) + "\n\n" + text), outputs)
