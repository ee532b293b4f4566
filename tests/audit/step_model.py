"""Claim `step`: the best of all schedules of docs/formulation.md, "A step", as a mixed-integer programme."""

from __future__ import annotations

from dataclasses import dataclass

from instance import Block, Instance
from milp import Programme
from times import GroupTimes


@dataclass(frozen=True)
class StepOptimum:
    """Blocks near at the start and after each step, what the programme says that takes, and whether it is the least."""

    placements: list[set[Block]]
    seconds: float
    optimal: bool


def solve_step(instance: Instance, seconds: float) -> StepOptimum | None:
    """near[k] is 1 if a block is near after step k; entering and leaving cost what "A step" says."""
    i, p = instance, Programme()
    times = GroupTimes(i, p)
    born, at_start = i.births(), i.near_at_start()
    near: list[dict[Block, int]] = [{b: p.binary() for b in i.there(k - 1)}
                                    for k in range(i.layers * i.steps + 1)]  # [k + 1] after step k
    if i.start != "free":
        for b, v in near[0].items():
            p.lower[v] = p.upper[v] = int(b in at_start)
    for state in near:
        p.row(0, {v: i.size(b) / i.page_bytes for b, v in state.items()}, i.capacity / i.page_bytes)
    for k, record in enumerate(i.records):
        layer, before, after = k % i.layers, near[k], near[k + 1]
        missable: dict[Block, int] = {}
        for b_id, stored in record.reads.items():
            b = layer, b_id
            r = i.read_bytes(b, stored) * i.batch
            if b_id in record.appended:
                times.add_fixed(k, "near", r)
                continue
            missable[b] = r
            times.add(k, "near", r, before[b])
            times.add_fixed(k, "read far", r)
            times.add(k, "read far", -r, before[b])
            times.served.setdefault(i.group(k), {})[before[b]] = r / i.page_bytes
        for b, v in after.items():
            if b not in before:
                continue
            size = i.size(b) * i.batch
            enters = p.variable()
            p.row(0, {enters: 1, v: -1, before[b]: 1})
            times.add(k, "passive", missable.get(b, 0), enters)
            times.add(k, "promote", size - missable.get(b, 0), enters)
            if i.exclusive:
                leaves = p.variable()
                p.row(0, {leaves: 1, before[b]: -1, v: 1})
                times.add(k, "demote", size, leaves)
        for b_id in record.appended:
            new, b = i.new_bytes(k, b_id) * i.batch, (layer, b_id)
            if i.exclusive:
                side = before.get(b, after.get(b))
                times.add_fixed(k, "write far", new)
                if side is not None:  # else it is gone with the step it begins in, and was on no side
                    times.add(k, "near", new, side)
                    times.add(k, "write far", -new, side)
            else:
                times.add_fixed(k, "near", new)
                times.add_fixed(k, "write far", new)
    times.close()
    solution = p.solve(seconds)
    if solution is None:
        return None
    placements = [{b for b, v in state.items() if solution.values[v] > 0.5} for state in near]
    return StepOptimum(placements, times.seconds(solution.objective), solution.optimal)
