"""Time of a group of steps: docs/formulation.md, "Time", as rows of a programme and as an exact number.

Programmes count bytes in pages and time in `unit` seconds, so that their numbers are near 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

from instance import FAR, LINK_READ, NEAR, TRANSFERS, Instance
from milp import Expression, Programme


def forms(instance: Instance) -> list[dict[int, Fraction]]:
    """T is the greatest of these sums of channel times, and the floor."""
    if instance.overlap == "none":
        return [{NEAR: Fraction(1), c: Fraction(1)} for c in range(4) if c != NEAR]
    if not instance.interference:
        return [{c: Fraction(1)} for c in range(4)]
    return [{i: Fraction(1), j: instance.interference} for i, j in itertools.permutations(range(4), 2)]


class GroupTimes:
    """Loads of all groups of a programme, to which its time is the least that docs/formulation.md allows."""

    def __init__(self, instance: Instance, programme: Programme) -> None:
        self.instance, self.programme = instance, programme
        self.unit = Fraction(instance.page_bytes, instance.bandwidth[FAR])
        self.loads: list[list[Expression]] = [[{} for _ in range(4)] for _ in range(instance.num_groups)]
        self.served: dict[int, Expression] = {}  # by group: pages read from near, of blocks that both sides hold
        steps = [range(g * instance.steps_per_group, (g + 1) * instance.steps_per_group) for g in range(instance.num_groups)]
        self.fixed = [[sum(column) for column in zip(*map(instance.fixed_loads, of_group))] for of_group in steps]

    def add_fixed(self, k: int, transfer: str, num_bytes: int) -> None:
        """What moves in step k whatever the placement."""
        for channel in TRANSFERS[transfer]:
            self.fixed[self.instance.group(k)][channel] += num_bytes

    def add(self, k: int, transfer: str, num_bytes: float, variable: int) -> None:
        """Bytes that move in step k, times a variable."""
        for channel in TRANSFERS[transfer]:
            load = self.loads[self.instance.group(k)][channel]
            load[variable] = load.get(variable, 0) + num_bytes / self.instance.page_bytes

    def close(self) -> None:
        """Adds the time of each group to the objective."""
        i = self.instance
        if i.mirrored_reads == "split" and not i.exclusive:
            self._split()
        for loads, fixed in zip(self.loads, self.fixed):
            time = self.programme.variable(float(i.floor * i.steps_per_group / self.unit), cost=1)
            channel_times = []
            for channel, load in enumerate(loads):
                pace = Fraction(i.page_bytes, i.bandwidth[channel]) / self.unit
                channel_time = self.programme.variable()
                self.programme.row(float(pace * Fraction(fixed[channel], i.page_bytes)),
                                   {channel_time: 1, **{v: -float(pace) * c for v, c in load.items()}})
                channel_times.append(channel_time)
            for form in forms(i):
                self.programme.row(0, {time: 1, **{channel_times[c]: -float(share) for c, share in form.items()}})

    def _split(self) -> None:
        """A part of what is served near comes from far. Parts of bytes, too, which schedules have not: that only lowers
        the optimum."""
        for group, most in self.served.items():
            moved = self.programme.variable()
            self.programme.row(0, {**most, moved: -1})
            for channel, by in ((NEAR, -1), (LINK_READ, 1), (FAR, 1)):
                self.loads[group][channel][moved] = by

    def seconds(self, objective: float) -> float:
        """Total time, overheads included, of the programme's value."""
        i = self.instance
        return objective * float(self.unit) + float(i.overhead * i.layers * i.steps)


def group_time(instance: Instance, loads: Sequence[int], divisible: int) -> Fraction:
    """T of a group with these loads, of which so many bytes on near.mem may be read from far instead: exactly.

    T is convex and piecewise linear in them, so it is least at an end or where two forms cross."""
    lines = []
    for form in forms(instance):
        at_none = sum((share * loads[c] / instance.bandwidth[c] for c, share in form.items()), Fraction(0))
        slope = sum((share * (-1 if c == NEAR else 1 if c in (LINK_READ, FAR) else 0) / instance.bandwidth[c]
                     for c, share in form.items()), Fraction(0))
        lines.append((at_none, slope))
    points = {Fraction(0)}
    if divisible:
        points |= {Fraction(divisible)} | {(b[0] - a[0]) / (a[1] - b[1]) for a, b in itertools.combinations(lines, 2)
                                           if a[1] != b[1]}
    least = min(max(a + b * x for a, b in lines) for x in points if 0 <= x <= divisible)
    m = instance.steps_per_group
    return max(least, instance.floor * m) + instance.overhead * m
