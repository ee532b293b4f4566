"""Bounds, schedules and verifiers audited on 60 small instances; scripts/audit takes thousands."""

from __future__ import annotations

import pathlib
import sys
import unittest
from fractions import Fraction
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import audit  # noqa: E402
import program  # noqa: E402
from generate import Scale  # noqa: E402

SEEDS = range(60)
HOW = audit.Audit(Scale(120))


class Small(unittest.TestCase):
    def test_nothing_is_wrong(self) -> None:
        outcomes = [audit.audit_one(seed, HOW) for seed in SEEDS]
        wrong = [f"scripts/audit --seed {o.seed} --instances 1 --size {HOW.scale.most_places}: {violation}"
                 for o in outcomes for violation in o.violations]
        self.assertEqual(wrong, [])
        # Enough was looked at: most optima are known, most bounds are near them, everything occurs.
        ratios = [o.bounds["step"] for o in outcomes if "step" in o.bounds]
        self.assertGreater(len(ratios), 55)
        self.assertGreater(sum(ratios) / len(ratios), 0.95)
        self.assertGreater(len({name for o in outcomes for name in o.features}), 18)

    def test_a_bound_too_high_is_noticed(self) -> None:
        with mock.patch.object(audit, "proven_claims", lambda found: {"step": Fraction(found["bound_exact"]) * 2}):
            self.assertIn("claim step: proven", "".join(audit.audit_one(0, HOW).violations))

    def test_a_plan_too_fast_is_noticed(self) -> None:
        bound = program.Program.bound
        with mock.patch.object(program.Program, "bound", lambda self: bound(self) | {"best_schedule_s": 1e-12}):
            self.assertIn("below the best of all", "".join(audit.audit_one(0, HOW).violations))


if __name__ == "__main__":
    unittest.main()
