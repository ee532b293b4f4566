"""Claim `any`: the best of all schedules that copy as they like, as a mixed-integer programme.

What is allowed is in docs/formulation.md, beside "A step". Each request of the batch has a placement of its own. Of a
block of a request, after step k:

    near       1: complete, and read from near in the next step
    arriving   1: room for the whole block is held, and a share of it, `moved`, is there; it is read from far
    leaving    1, exclusive mode only: a share of it, `left`, is still near, which is the room it takes; not read

A schedule gains nothing by giving a promotion up, so none does here. Where this programme allows more than the claim
(bytes of partial reads are not told apart, a demotion may be under way at the end), its optimum is only lower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from instance import Block, Instance
from milp import Expression, Programme
from times import GroupTimes


@dataclass(frozen=True)
class AnyOptimum:
    """Seconds of the best schedule found, and whether it is the least of all."""

    seconds: float
    optimal: bool


class BlockPath:
    """A block of one request: the variables of its state after the step at hand; from its birth on."""

    def __init__(self, p: Programme, near: int) -> None:
        self.p, self.near = p, near
        self.arriving, self.moved, self.leaving, self.left = (p.variable(0, 0) for _ in range(4))

    def room(self) -> tuple[int, ...]:
        """Variables that are shares of its size in near memory."""
        return self.near, self.arriving, self.left

    def step(self, times: GroupTimes, k: int, size: int, read: int, touched: bool) -> None:
        """Step k reads so many bytes of it, from where it is. `touched`: the step reads it or appends to it."""
        p = self.p
        near, arriving, moved = p.binary(), p.binary(), p.variable(0, 1)
        active, passive, completes = p.variable(0, 1), p.variable(0, read / size), p.variable(0, 1)
        times.add(k, "promote", size, active)
        times.add(k, "passive", size, passive)
        p.row(0, {self.moved: 1, active: 1, passive: 1, moved: -1, completes: -1})
        p.row(0, {arriving: 1, moved: -1})
        p.row(-1, {near: -1, arriving: -1})
        p.row(-1, {self.near: -1, arriving: -1})
        p.row(-1, {self.near: -1, completes: -1})
        if read:  # Bytes are kept only of what comes from far.
            p.row(-read / size, {self.near: -read / size, passive: -1})
        if times.instance.exclusive:
            leaving, left, begins, leaves = p.binary(), p.variable(0, 1), p.variable(0, 1), p.variable(0, 1)
            times.add(k, "demote", size, leaves)
            p.row(0, {self.near: 1, completes: 1, near: -1, begins: -1}, 0)
            p.row(0, {self.left: 1, begins: 1, leaves: -1, left: -1}, 0)
            p.row(0, {leaving: 1, left: -1})
            p.row(-1, {leaving: -1, near: -1, arriving: -1})
            p.row(-1, {self.leaving: -1, completes: -1})
            if touched:
                p.upper[self.leaving] = 0
            self.leaving, self.left = leaving, left
        else:
            p.row(0, {self.near: 1, completes: 1, near: -1})
        self.near, self.arriving, self.moved = near, arriving, moved


class LateWrites:
    """New KV on its way to far: each byte moves in the step that makes it or in a later one."""

    def __init__(self, times: GroupTimes) -> None:
        self.times, self.waiting = times, times.programme.variable(0, 0)

    def step(self, k: int, made: int, spared: Expression) -> None:
        """Step k makes so many bytes; less the bytes of each variable in `spared`."""
        p, page = self.times.programme, self.times.instance.page_bytes
        written, waiting = p.variable(), p.variable()
        self.times.add(k, "write far", page, written)
        p.row(made / page, {waiting: 1, written: 1, self.waiting: -1, **{v: b / page for v, b in spared.items()}})
        self.waiting = waiting

    def close(self) -> None:
        """All is written at the end."""
        self.times.programme.upper[self.waiting] = 0


def solve_any(instance: Instance, seconds: float, known: Sequence[set[Block]] | None = None) -> AnyOptimum | None:
    """`known`: placements of a schedule of claim `step` to begin from."""
    i, p = instance, Programme()
    times = GroupTimes(i, p)
    late = LateWrites(times)
    born, at_start, requests = i.births(), i.near_at_start(), range(i.batch)
    paths: dict[tuple[int, Block], BlockPath] = {}
    warm: dict[int, float] = {}

    def see(k: int) -> None:
        """After step k: what is near fits the near capacity of the batch."""
        row: Expression = {}
        for (_, b), path in paths.items():
            row |= {v: -i.size(b) / i.page_bytes for v in path.room()}
            if known:
                warm.update({path.near: float(b in known[k + 1]), path.arriving: 0, path.leaving: 0})
        p.row(-i.near_capacity / i.page_bytes, row)

    for q in requests:
        for b in (b for b, birth in born.items() if birth < 0):
            near = p.binary()
            if i.start != "free":
                p.lower[near] = p.upper[near] = int(b in at_start)
            paths[q, b] = BlockPath(p, near)
    see(-1)
    for k, record in enumerate(i.records):
        layer, served, spared = k % i.layers, times.served, dict[int, float]()
        for b_id, stored in record.reads.items():
            r = i.read_bytes((layer, b_id), stored)
            if b_id in record.appended:
                times.add_fixed(k, "near", i.batch * r)
                continue
            times.add_fixed(k, "read far", i.batch * r)
            for near in (paths[q, (layer, b_id)].near for q in requests):
                times.add(k, "near", r, near)
                times.add(k, "read far", -r, near)
                served.setdefault(i.group(k), {})[near] = r / i.page_bytes
        for (q, b), path in paths.items():
            before, here = path.near, b[0] == layer
            misses = here and b[1] in record.reads and b[1] not in record.appended
            path.step(times, k, i.size(b), i.read_bytes(b, record.reads[b[1]]) if misses else 0,
                      here and (b[1] in record.reads or b[1] in record.appended))
            if here and b[1] in record.appended:
                spared[before] = i.new_bytes(k, b[1])
        for q in requests:
            for b in ((layer, b_id) for b_id in record.appended if born[layer, b_id] == k):
                paths[q, b] = BlockPath(p, p.binary())
                spared[paths[q, b].near] = i.new_bytes(k, b[1])
        paths = {(q, b): path for (q, b), path in paths.items() if k < i.last(b)}  # what is under way is dropped
        made = i.batch * sum(i.new_bytes(k, b_id) for b_id in record.appended)
        if i.exclusive:
            for near, num_bytes in spared.items():
                times.add(k, "near", num_bytes, near)
            late.step(k, made, spared)
        else:
            times.add_fixed(k, "near", made)
            late.step(k, made, {})
        see(k)
    late.close()
    times.close()
    solution = p.solve(seconds, warm)
    return AnyOptimum(times.seconds(solution.objective), solution.optimal) if solution else None
