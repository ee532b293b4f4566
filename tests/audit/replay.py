"""What a schedule of docs/formulation.md takes, exactly: rule by rule; and the best of all, by trying all."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from fractions import Fraction

from instance import TRANSFERS, Block, Instance
from times import group_time


def step_loads(instance: Instance, k: int, born: dict[Block, int], before: set[Block], after: set[Block]
               ) -> tuple[list[int], int]:
    """Bytes by channel of step k, and how many of them mirrored reads may divide."""
    i, record, layer = instance, instance.records[k], k % instance.layers
    loads, divisible, missed = [0] * 4, 0, {}

    def move(transfer: str, num_bytes: int) -> None:
        for channel in TRANSFERS[transfer]:
            loads[channel] += num_bytes

    for b_id, stored in record.reads.items():
        b = layer, b_id
        r = i.read_bytes(b, stored)
        if b_id in record.appended or b in before:
            move("near", r)
            divisible += r if b_id not in record.appended else 0
        else:
            move("read far", r)
            missed[b] = r
    for b in after - before:
        if born[b] < k:
            move("passive", missed.get(b, 0))
            move("promote", i.size(b) - missed.get(b, 0))
    for b in before - after:
        if i.exclusive and k < i.last(b):
            move("demote", i.size(b))
    for b_id in record.appended:
        b = layer, b_id
        if i.exclusive:
            move("near" if b in (after if born[b] == k else before) else "write far", i.new_bytes(k, b_id))
        else:
            move("near", i.new_bytes(k, b_id))
            move("write far", i.new_bytes(k, b_id))
    total = [i.batch * load + weight for load, weight in zip(loads, i.fixed_loads(k))]
    return total, divisible * i.batch if i.mirrored_reads == "split" and not i.exclusive else 0


def replay(instance: Instance, placements: Sequence[set[Block]]) -> Fraction:
    """Seconds of a schedule; an AssertionError if it is not legal."""
    i, born, total = instance, instance.births(), Fraction(0)
    assert i.start == "free" or placements[0] == i.near_at_start()
    for k, near in enumerate(placements):
        assert near <= set(i.there(k - 1)) and sum(map(i.size, near)) <= i.capacity
    steps = [step_loads(i, k, born, *placements[k:k + 2]) for k in range(i.layers * i.steps)]
    for g in range(i.num_groups):
        of_group = steps[g * i.steps_per_group:(g + 1) * i.steps_per_group]
        total += group_time(i, [sum(column) for column in zip(*(loads for loads, _ in of_group))],
                            sum(divisible for _, divisible in of_group))
    return total


def random_schedule(rng: random.Random, instance: Instance) -> list[set[Block]]:
    """Blocks near at the start and after each step: legal, and as no policy would have it."""
    i, born = instance, instance.births()
    near = set() if i.start == "free" else i.near_at_start()
    placements = []
    for k in range(-1, i.layers * i.steps):
        if k >= 0 or i.start == "free":
            near = {b for b in near if rng.random() < 0.8 and k < i.last(b)}
            others = [b for b in i.there(k) if b not in near]
            for b in rng.sample(others, rng.randint(0, len(others))):
                if sum(map(i.size, near)) + i.size(b) <= i.capacity:
                    near.add(b)
        placements.append(set(near))
    return placements


def best_of_all(instance: Instance) -> Fraction:
    """The least time of all schedules, by a dynamic programme over all placements; where each step is a group."""
    i, born = instance, instance.births()
    assert i.steps_per_group == 1

    def placements(k: int) -> list[frozenset[Block]]:
        blocks = i.there(k - 1)
        return [frozenset(chosen) for n in range(len(blocks) + 1) for chosen in itertools.combinations(blocks, n)
                if sum(map(i.size, chosen)) <= i.capacity]

    start = placements(0) if i.start == "free" else [frozenset(i.near_at_start())]
    best = {near: Fraction(0) for near in start}
    for k in range(i.layers * i.steps):
        following: dict[frozenset[Block], Fraction] = {}
        for before, time in best.items():
            for after in placements(k + 1):
                then = time + group_time(i, *step_loads(i, k, born, set(before), set(after)))
                if after not in following or then < following[after]:
                    following[after] = then
        best = following
    return min(best.values())
