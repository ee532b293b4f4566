"""Bounds, schedules and verifiers audited on small instances; scripts/audit takes thousands."""

from __future__ import annotations

import pathlib
import sys
import unittest
from dataclasses import replace
from fractions import Fraction
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import audit  # noqa: E402
import program  # noqa: E402
import value  # noqa: E402
from generate import Scale  # noqa: E402
from instance import Instance  # noqa: E402

SMALL, LARGER = audit.Audit(Scale(120)), audit.Audit(Scale(160))
UNLIKE = audit.Audit(Scale(120), unlike=True)

#: Where a demotion that is under way leaves room which whole blocks could not use, and the optimum of claim `any` does.
FLUID_ROOM = (264, 313, 392, 411, 472)


class Small(unittest.TestCase):
    def test_nothing_is_wrong(self) -> None:
        # Forgeries of every third: they take most of the time.
        outcomes = [(audit.audit_one(seed, replace(how, forgeries=seed % 3 == 0)), how)
                    for how, seeds in ((SMALL, range(55)), (LARGER, FLUID_ROOM)) for seed in seeds]
        wrong = [f"scripts/audit --seed {o.seed} --instances 1 --size {how.scale.most_places}: {violation}"
                 for o, how in outcomes for violation in o.violations]
        self.assertEqual(wrong, [])
        # Enough was looked at: most optima are known, most bounds are near them, everything occurs.
        ratios = [o.bounds["step"] for o, _ in outcomes if "step" in o.bounds]
        self.assertGreater(len(ratios), 55)
        self.assertGreater(sum(ratios) / len(ratios), 0.95)
        self.assertGreater(len({name for o, _ in outcomes for name in o.features}), 18)

    def test_unlike_layers_and_several_tokens(self) -> None:
        outcomes = [audit.audit_one(seed, UNLIKE) for seed in range(60)]
        wrong = [f"scripts/audit --unlike --seed {o.seed} --instances 1 --size 120: {violation}"
                 for o in outcomes for violation in o.violations]
        self.assertEqual(wrong, [])
        self.assertGreater(sum("step" in o.bounds for o in outcomes), 50)
        for name in ("unlike layers", "growing fixed traffic", "several tokens"):
            self.assertGreater(sum(name in o.features for o in outcomes), 15)
        ratios = [o.bounds["step"] for o in outcomes if "step" in o.bounds]
        self.assertGreater(sum(ratios) / len(ratios), 0.9)

    def test_a_bound_too_high_is_noticed(self) -> None:
        with mock.patch.object(audit, "proven_claims", lambda found: {"step": Fraction(found["bound_exact"]) * 2}):
            self.assertIn("claim step: proven", "".join(audit.audit_one(0, SMALL).violations))

    def test_a_plan_too_fast_is_noticed(self) -> None:
        bound = program.Program.bound
        with mock.patch.object(program.Program, "bound", lambda self: bound(self) | {"best_schedule_s": 1e-12}):
            self.assertIn("below the best of all", "".join(audit.audit_one(0, SMALL).violations))

    def test_a_rule_that_proves_too_much_is_noticed(self) -> None:
        def whole_pieces(i: Instance) -> Fraction:
            return Fraction(i.near_capacity // i.piece * i.piece)

        with mock.patch.object(value, "room", whole_pieces):
            for seed in FLUID_ROOM:
                self.assertIn("of claim any on paper", "".join(audit.audit_one(seed, LARGER).violations))


if __name__ == "__main__":
    unittest.main()
