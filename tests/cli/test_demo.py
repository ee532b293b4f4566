"""The demo: the main job on the bundled trace, without any argument."""

from __future__ import annotations

import json
import time
import unittest

import cli


class Demo(cli.CliTest):
    def test_every_default_policy_in_one_table(self) -> None:
        began = time.monotonic()
        ran = self.run_cli("demo")
        seconds = time.monotonic() - began
        self.assertEqual((ran.code, ran.err), (cli.DONE, ""), ran)
        listed = [p["name"] for p in json.loads(self.ok("list", "policies", "--json")) if p["by_default"]]
        first_words = {line.split()[0].split(":")[0] for line in ran.out.splitlines() if line}
        # `sa` searches, replay by replay, and `planned` plans: they run only where they are asked for.
        self.assertLessEqual(set(listed) - {"sa", "planned"}, first_words, ran)
        for bound in ("(all near)", "(certified)", "(perfect split)"):
            self.assertIn(bound, ran.out)
        self.assertIn("Read it so: x bound is the time over the certified bound", ran.out)
        self.assertLess(seconds, 60)
        self.assertEqual(self.names(), [])

    def test_the_command_it_suggests_runs(self) -> None:
        out = self.ok("demo")
        suggested = [line for line in out.splitlines() if "kvplace compare " in line]
        self.assertEqual(len(suggested), 1, out)
        words = suggested[0][suggested[0].index("kvplace compare "):].split()
        self.assertIn("belady-global", self.ok(*words[1:]))

    def test_threads_change_nothing(self) -> None:
        self.assertEqual(self.ok("demo", "--threads", 1), self.ok("demo", "--threads", 2))


if __name__ == "__main__":
    unittest.main()
