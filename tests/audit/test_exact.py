"""The audit's models against each other: programmes beside all schedules, and beside sums that can be done by hand."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import sys
import unittest
from fractions import Fraction

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from any_model import solve_any  # noqa: E402
from generate import Scale, generate  # noqa: E402
from instance import Instance, Record  # noqa: E402
from replay import best_of_all, replay  # noqa: E402
from step_model import solve_step  # noqa: E402
from times import group_time  # noqa: E402

#: One layer, blocks of 1 kB, which take 1 ns near and 100 ns over the link; weights, read near, take 50 ns per step.
BY_HAND = Instance(
    layers=1, steps=3, block_tokens=1, prompt_tokens=2, requests=1, experts=0, partial=False,
    records=(Record({}, ()), Record({}, ()), Record({0: 0}, ())), page_bytes=1000, expert_bytes=0, new_kv=True, batch=1,
    near_capacity=1000, weight_bytes=50_000, weights_near=Fraction(1), bandwidth=(10**12, 10**10, 10**10, 10**10),
    interference=Fraction(0), flops=0, peak_flops=0, overhead=Fraction(0), mode="inclusive", barrier="layer",
    overlap="full", start="empty", mirrored_reads="near")


def nanoseconds(instance: Instance) -> tuple[float, float]:
    """Optima of both claims."""
    step = solve_step(instance, 10)
    fluid = solve_any(instance, 10)
    assert step and fluid and step.optimal and fluid.optimal
    return 1e9 * float(replay(instance, step.placements)), 1e9 * fluid.seconds


class StepModel(unittest.TestCase):
    def test_no_schedule_of_all_is_faster(self) -> None:
        tiny = (generate(seed, Scale(40)) for seed in itertools.count())
        tiny = (i for i in tiny if i.steps_per_group == 1 and len(i.births()) <= 4)
        seen = set()
        for i in itertools.islice(tiny, 25):
            with self.subTest(i):
                found = solve_step(i, 10)
                assert found is not None and found.optimal
                best = best_of_all(i)
                self.assertAlmostEqual(float(replay(i, found.placements) / best) if best else 1.0, 1.0, delta=1e-9)
                seen |= {i.mode, i.overlap, i.start, i.mirrored_reads}
        self.assertLessEqual({"inclusive", "exclusive", "full", "none", "recent", "empty", "free", "split"}, seen)

    def test_reads_are_split_where_both_sides_take_as_long(self) -> None:
        # 101 bytes near at 100 B/s, or far at 1 B/s: 1 byte over the link takes as long as 100 near.
        i = dataclasses.replace(BY_HAND, bandwidth=(100, 1, 1, 1))
        self.assertEqual(group_time(i, (101, 0, 0, 0), 101), 1)
        self.assertEqual(group_time(i, (101, 0, 0, 0), 0), Fraction(101, 100))


class AnyModel(unittest.TestCase):
    def test_a_promotion_moves_behind_the_work_of_two_steps(self) -> None:
        step, fluid = nanoseconds(BY_HAND)
        self.assertAlmostEqual(step, 50 + 50 + 100)
        self.assertAlmostEqual(fluid, 50.5 + 50.5 + 51)  # Half of the block in each step, then a near read.

    def test_new_kv_is_written_to_far_in_two_steps(self) -> None:
        i = dataclasses.replace(BY_HAND, records=(Record({}, (2,)), Record({}, ()), Record({}, ())), near_capacity=0)
        step, fluid = nanoseconds(i)
        self.assertAlmostEqual(step, 100 + 50 + 50)
        self.assertAlmostEqual(fluid, 51 + 50 + 50)

    def test_a_demotion_makes_room_before_a_promotion_moves(self) -> None:
        # Both wait for far memory, 100 ns each; four steps have 50 ns of near work, and half a block more of it.
        i = dataclasses.replace(BY_HAND, mode="exclusive", start="recent", steps=7,
                                records=(*[Record({}, ())] * 4, *[Record({0: 0}, ())] * 3))
        step, fluid = nanoseconds(i)
        self.assertAlmostEqual(step, float(1e9 * best_of_all(i)))
        self.assertAlmostEqual(fluid, 4 * 50.5 + 3 * 51)

    def test_requests_share_the_capacity_of_the_batch(self) -> None:
        # One of two requests has room: 1.5 blocks are none for each alike.
        i = dataclasses.replace(BY_HAND, batch=2, near_capacity=1500, start="free", records=(Record({0: 0}, ()),) * 3)
        step, fluid = nanoseconds(i)
        self.assertAlmostEqual(step, 3 * 200)
        self.assertAlmostEqual(fluid, 3 * 100)


if __name__ == "__main__":
    unittest.main()
