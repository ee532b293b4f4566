"""Truncated and damaged traces: recognised for what they are, never a crash; --recover reads the whole chunks."""

from __future__ import annotations

import json
import unittest

import numpy as np

import cli

ROWS = cli.random_rows(4, layers=2, steps=25, prompt_tokens=8)


class DamagedTraces(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.make_trace("t.kvt", ROWS, 8)
        self.whole = self.read("t.kvt")
        self.verbs = [["info", "x.kvt"], ["compare", "x.kvt", "--block-bytes", "4kB", "--near-blocks-per-layer", 3],
                      ["export", "x.kvt", "-o", "out", "--format", "oracle-general"],
                      ["show-config", "x.kvt", "--block-bytes", "4kB"]]

    def refuses(self, content: bytes, verb: list) -> None:
        self.write("x.kvt", content)
        ran = self.run_cli(*verb, timeout=20)
        self.refused(ran, cli.BAD_INPUT, "x.kvt")
        self.assertEqual(self.names(), ["t.kvt", "x.kvt"], ran)

    def test_truncated(self) -> None:
        """Wherever it is cut, and whether asked to recover or not: a small trace has no whole chunk without its end."""
        for size in range(0, len(self.whole), 3):
            self.refuses(self.whole[:size], self.verbs[size % len(self.verbs)])
        self.refuses(self.whole[:-1], self.verbs[0])
        ran = self.run_cli("info", "x.kvt")
        self.assertIn("truncated", ran.err)
        self.assertIn("--recover", ran.err)

    def test_one_bit_flipped(self) -> None:
        for at in range(0, len(self.whole), 2):
            damaged = bytearray(self.whole)
            damaged[at] ^= 1 << at // 2 % 8
            # show-config reads no chunk, so it may not see all.
            self.refuses(bytes(damaged), self.verbs[at // 2 % 3])

    def test_reads_of_blocks_that_do_not_exist_yet(self) -> None:
        """Whole in form, and no trace: what searches a bound or a plan must not take it on."""
        damaged = cli.SOURCE_DIR / "tests/data/damaged"
        for name, *verb in (("damaged.kvt", "bound", "--block-bytes", 1000, "--near-capacity", "1000B", "--start", "empty",
                             "-o", "x.cert"),
                            ("dam10074.kvt", "compare", "--config", damaged / "dam10074.toml", "--policy", "planned")):
            ran = self.run_cli(verb[0], damaged / name, *verb[1:], timeout=20)
            self.refused(ran, cli.BAD_INPUT, name, "is read before it exists")
            self.assertEqual(self.names(), ["t.kvt"])

    def test_more_damage(self) -> None:
        zeros = bytes(64)
        for at in range(0, len(self.whole) - 64, 40):
            self.refuses(self.whole[:at] + zeros + self.whole[at + 64:], self.verbs[0])
            self.refuses(self.whole[:at] + self.whole[at + 13:], self.verbs[1])
            self.refuses(self.whole[:at] + b"\xff" * 8 + self.whole[at + 8:], self.verbs[2])
        self.refuses(self.whole + b"\0", self.verbs[0])
        self.refuses(self.whole + self.whole, self.verbs[0])
        self.refuses(zeros * 100, self.verbs[0])

    def test_recover_finds_no_more_than_is_sound(self) -> None:
        """Damage anywhere, read with --recover: refused, or the very same contents."""
        wanted = self.json("info", "t.kvt")
        for at in range(0, len(self.whole), 3):
            damaged = bytearray(self.whole)
            damaged[at] ^= 1 << at % 8
            self.write("x.kvt", bytes(damaged))
            ran = self.run_cli("info", "x.kvt", "--recover", "--json", timeout=20)
            if ran.code == cli.DONE:
                found = json.loads(ran.out)
                for key in ("steps", "reads", "overlap_by_layer", "lru_miss_by_capacity", "blocks"):
                    self.assertEqual(found[key], wanted[key])
                self.assertTrue(found["manifest"]["recovered"])
                self.assertRegex(ran.err, r"\Akvplace: note: [^\n]*x\.kvt[^\n]*\n\Z")
            else:
                self.refused(ran, cli.BAD_INPUT, "x.kvt")

    def test_recover_a_truncated_trace(self) -> None:
        """Of a trace of several chunks, the whole ones: their steps are the first of the whole trace."""
        with open(cli.BUNDLED, "rb") as file:
            bundled = file.read()
        self.ok("export", cli.BUNDLED, "-o", "all.npy", "--format", "topk-npy")
        rows = np.load(self.path("all.npy"), mmap_mode="r")
        seen = set()
        for share in (0.35, 0.7, 0.999):
            self.write("cut.kvt", bundled[:int(len(bundled) * share)])
            self.refused(self.run_cli("info", "cut.kvt"), cli.BAD_INPUT, "cut.kvt", "--recover")
            ran = self.run_cli("export", "cut.kvt", "-o", "cut.npy", "--format", "topk-npy", "--recover")
            self.assertEqual(ran.code, cli.DONE, ran)
            self.assertRegex(ran.err, r"cut\.kvt.*first \d+ decode steps")
            found = np.load(self.path("cut.npy"), mmap_mode="r")
            self.assertTrue(0 < len(found) <= len(rows))
            self.assertTrue((found == rows[:len(found)]).all())
            seen.add(len(found))
            ran = self.run_cli("compare", "cut.kvt", "--recover", "--near-blocks-per-layer", 96, "--policy", "lru",
                               "--json")
            self.assertEqual(ran.code, cli.DONE, ran)
            self.assertEqual(json.loads(ran.out)["instance"]["steps"], len(found))
        self.assertGreater(len(seen), 1)
        self.write("cut.kvt", bundled[:600])
        self.refused(self.run_cli("info", "cut.kvt", "--recover"), cli.BAD_INPUT, "cut.kvt")

    def test_recover_changes_nothing_of_a_whole_trace(self) -> None:
        self.assertEqual(self.json("info", "t.kvt"), self.json("info", "t.kvt", "--recover"))


if __name__ == "__main__":
    unittest.main()
