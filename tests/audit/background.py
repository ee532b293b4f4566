"""What a schedule takes whose copies move in the background, exactly: docs/formulation.md, "Migration rules"."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from fractions import Fraction

from instance import FAR, LINK_READ, NEAR, TRANSFERS, Block, Instance
from times import group_time

#: What a step issues, in this order, and what it evicts.
Moves = tuple[list[Block], set[Block]]


def in_some_order(rng: random.Random, i: Instance, placements: Sequence[set[Block]]) -> list[Moves]:
    """The moves between blocks that have room after each step; what a step issues in an order of its own."""
    moves = []
    for k, (before, after) in enumerate(zip(placements, placements[1:])):
        issued = sorted(after - before)
        rng.shuffle(issued)
        moves.append((issued, {b for b in before - after if k < i.last(b)}))
    return moves


def copied_bytes(i: Instance, loads: Sequence[int], queued: int) -> int:
    """The most whole bytes that the far side carries beside these loads: all, or what a root of its condition says."""
    full = i.overlap == "full"
    alone = max(*(Fraction(load, b) for load, b in zip(loads, i.bandwidth)), i.floor * i.steps_per_group)
    rate = Fraction(i.bandwidth[NEAR])

    def fits(x: int) -> bool:
        near = (loads[NEAR] + x) / rate
        time = max(alone, near) if full else near
        return all((loads[c] if full else 0) + x <= i.bandwidth[c] * time for c in (LINK_READ, FAR))

    candidates = {Fraction(queued)}
    for c in (LINK_READ, FAR):
        busy, share = loads[c] if full else 0, i.bandwidth[c] / rate
        candidates.add(i.bandwidth[c] * alone - busy)
        if share != 1:
            candidates.add((share * loads[NEAR] - busy) / (1 - share))
    return max(x for x in {0, *map(math.floor, candidates)} if 0 <= x <= queued and fits(x))


def replay(instance: Instance, start: set[Block], schedule: Sequence[Moves]) -> Fraction:
    """Seconds of a schedule; what copies leave idle serves mirrored reads, in parts of bytes too."""
    i, born, total = instance, instance.births(), Fraction(0)
    resident, queue = set(start), dict[Block, int]()  # with room near; bytes still to copy, in order of issue
    loads, divisible = [0] * 4, 0
    splits = i.mirrored_reads == "split" and not i.exclusive

    def move(transfer: str, num_bytes: int) -> None:
        for channel in TRANSFERS[transfer]:
            loads[channel] += num_bytes

    for k, (issued, evicted) in enumerate(schedule):
        record, layer = i.records[k], k % i.layers
        from_far = dict[Block, int]()
        whole = resident - set(queue)
        for b_id, stored in record.reads.items():
            b = layer, b_id
            r = i.read_bytes(b, stored)
            near = b_id in record.appended or b in whole
            move("near" if near else "read far", i.batch * r)
            divisible += i.batch * r if splits and near and b_id not in record.appended else 0
            from_far.update({} if near else {b: r})
        missed = {b: r for b, r in from_far.items() if b not in resident}
        for b in [b for b in resident if i.last(b) == k]:  # gone with its request, for nothing
            resident.remove(b)
            queue.pop(b, None)
        for b in evicted:
            resident.remove(b)
            if queue.pop(b, 0) == 0 and i.exclusive:
                move("demote", i.batch * i.size(b))
        for b in set(from_far) & set(queue):  # in flight
            kept = min(i.batch * from_far[b], queue[b])
            move("passive", kept)
            queue[b] -= kept
            if not queue[b]:
                del queue[b]
        for b in issued:
            resident.add(b)
            if born[b] < k:
                move("passive", i.batch * missed.get(b, 0))
                rest = i.size(b) - missed.get(b, 0)
                queue.update({b: i.batch * rest} if rest else {})
        assert sum(map(i.size, resident)) <= i.capacity
        for b_id in record.appended:
            b = layer, b_id
            near = b in (resident if born[b] == k else whole)
            for side, on_side in (("near", near), ("write far", not near)):
                move(side, i.batch * i.new_bytes(k, b_id) if on_side or not i.exclusive else 0)
        loads = [load + weight for load, weight in zip(loads, i.fixed_loads(k))]
        if (k + 1) % i.steps_per_group == 0:
            copied = left = copied_bytes(i, loads, sum(queue.values()))
            for channel in (NEAR, LINK_READ, FAR) if i.overlap == "full" else (NEAR,):
                loads[channel] += copied
            total += group_time(i, loads, divisible)
            loads, divisible = [0] * 4, 0
            for b in list(queue):
                moved = min(left, queue[b])
                left -= moved
                queue[b] -= moved
                if not queue[b]:
                    del queue[b]
    return total
