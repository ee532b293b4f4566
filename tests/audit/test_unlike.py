"""The same audit where layers differ, fixed traffic grows with the context, and steps are of several tokens."""

from __future__ import annotations

import pathlib
import sys
import unittest
from dataclasses import replace

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import audit  # noqa: E402
from generate import Scale  # noqa: E402

UNLIKE = audit.Audit(Scale(120), unlike=True)


class Unlike(unittest.TestCase):
    def test_nothing_is_wrong(self) -> None:
        # Forgeries of every third: they take most of the time.
        outcomes = [audit.audit_one(seed, replace(UNLIKE, forgeries=seed % 3 == 0)) for seed in range(60)]
        wrong = [f"scripts/audit --unlike --seed {o.seed} --instances 1 --size 120: {violation}"
                 for o in outcomes for violation in o.violations]
        self.assertEqual(wrong, [])
        self.assertGreater(sum("step" in o.bounds for o in outcomes), 50)
        for name in ("unlike layers", "growing fixed traffic", "several tokens"):
            self.assertGreater(sum(name in o.features for o in outcomes), 15)
        ratios = [o.bounds["step"] for o in outcomes if "step" in o.bounds]
        self.assertGreater(sum(ratios) / len(ratios), 0.9)


if __name__ == "__main__":
    unittest.main()
