"""The same audit of served batches, whose requests come and end."""

from __future__ import annotations

import dataclasses
import pathlib
import sys
import unittest
from fractions import Fraction

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import audit  # noqa: E402
from generate import Scale, generate_served  # noqa: E402
from instance import Instance, Record, Request  # noqa: E402
from replay import best_of_all, replay  # noqa: E402
from step_model import solve_step  # noqa: E402

SERVED = audit.Audit(Scale(100), served=True)

#: One layer, blocks of 1 kB: 1 ns near, 100 ns over the link. Request 0 reads its page in each of its two steps; request
#: 1 comes with a page of prompt when that has ended, and reads it in each of its two steps.
BY_HAND = Instance(
    layers=1, steps=4, block_tokens=4, prompt_tokens=2, requests=2, experts=0, partial=False,
    records=(Record({0: 0}, (0,), (1,)), Record({0: 0}, (0, 1), (1, 0)), Record({1: 0}, (), ()), Record({1: 0}, (), ())),
    page_bytes=1000, expert_bytes=0, new_kv=False, batch=1, near_capacity=1000, weight_bytes=0, weights_near=Fraction(1),
    bandwidth=(10**12, 10**10, 10**10, 10**10), interference=Fraction(0), flops=0, peak_flops=0, overhead=Fraction(0),
    mode="exclusive", barrier="layer", overlap="full", start="recent", mirrored_reads="near",
    served=(Request(2, 0, 2), Request(2, 2, 4)), ids=((0,), (1,)))


class Served(unittest.TestCase):
    def test_nothing_is_wrong(self) -> None:
        # Forgeries of every fifth: they take most of the time.
        outcomes = [audit.audit_one(seed, dataclasses.replace(SERVED, forgeries=seed % 5 == 0)) for seed in range(16)]
        wrong = [f"scripts/audit --served --seed {o.seed} --instances 1 --size 100: {violation}"
                 for o in outcomes for violation in o.violations]
        self.assertEqual(wrong, [])
        ratios = [o.bounds["step"] for o in outcomes if "step" in o.bounds]
        self.assertGreater(len(ratios), 13)
        self.assertGreater(sum(ratios) / len(ratios), 0.9)
        for name in ("prompts that arrive", "requests that end", "growing fixed traffic", "exclusive", "start free"):
            self.assertGreater(sum(name in o.features for o in outcomes), 1, name)

    def test_no_schedule_of_all_is_faster(self) -> None:
        tiny = (i for i in map(lambda seed: generate_served(seed, Scale(30)), range(200))
                if i.steps_per_group == 1 and max(len(i.there(k)) for k in range(i.layers * i.steps)) <= 5)
        found = [next(tiny) for _ in range(8)]
        for i in found:
            with self.subTest(i):
                step = solve_step(i, 10)
                assert step is not None and step.optimal
                best = best_of_all(i)
                self.assertAlmostEqual(float(replay(i, step.placements) / best) if best else 1.0, 1.0, delta=1e-9)
        self.assertEqual({i.mode for i in found}, {"inclusive", "exclusive"})

    def test_a_request_that_ends_gives_its_room_to_one_that_arrives(self) -> None:
        # One place: the first page is near from the start and gone in the very step in which the other is put there.
        step = solve_step(BY_HAND, 10)
        assert step is not None
        self.assertEqual(step.placements, [{(0, 0)}, {(0, 0)}, {(0, 1)}, {(0, 1)}, set()])
        self.assertEqual(replay(BY_HAND, step.placements), Fraction(4, 10**9))


if __name__ == "__main__":
    unittest.main()
