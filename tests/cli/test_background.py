"""Copies in the background, by the command: what compares with what, and what is refused."""

from __future__ import annotations

import random
import struct
import unittest

import cli
import kvs_file

BLOCK = 4000
ROWS = cli.random_rows(8, layers=2, steps=24, prompt_tokens=12)


def drifting_rows(layers: int, steps: int, prompt_tokens: int, reads: int) -> cli.Rows:
    """In each step of a layer one block read before makes room for another."""
    rng = random.Random(1)
    current = [set(rng.sample(range(prompt_tokens), reads)) for _ in range(layers)]
    rows: cli.Rows = []
    for t in range(steps):
        for blocks in current:
            blocks.remove(rng.choice(sorted(blocks)))
            while len(blocks) < reads:
                blocks.add(rng.randrange(prompt_tokens + t))
        rows.append([sorted(blocks) for blocks in current])
    return rows


class Background(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.trace = self.make_trace("t.kvt", ROWS, 12)
        self.instance = ["--block-bytes", BLOCK, "--near-blocks-per-layer", 5]
        self.background = [*self.instance, "--copies", "background"]

    def test_drafts_are_believed_for_what_they_proved_worth(self) -> None:
        """Drafts of reads that never come change nothing, right ones save time, wrong ones in part cost little."""
        names = ["kvplace", *(f"kvplace-drafts:accuracy={a}" for a in (0, 0.7, 1))]
        flags = [flag for name in names for flag in ("--policy", name)]
        for trace in ("smollm2-holmes-page16-k64.kvt", "smollm2-austen-token-k64-ranked.kvt"):
            with self.subTest(trace=trace):
                answer = self.json("compare", cli.SOURCE_DIR / "data" / trace, "--near-blocks-per-layer", 96,
                                   "--weight-bytes-per-step", 0, "--set", "hardware.far.link_read=55GB/s", "--copies",
                                   "background", *flags)
                flagship, useless, fair, right = answer["results"]
                self.assertEqual((useless["total_s"], useless["promotions"]), (flagship["total_s"], flagship["promotions"]))
                self.assertLess(fair["total_s"], 1.005 * flagship["total_s"])
                self.assertLess(right["total_s"], 0.97 * flagship["total_s"])

    def test_policies_are_compared_with_the_claim_that_covers_them(self) -> None:
        policies = ["--policy", "lru", "--policy", "look-ahead", "--bound"]
        for copies, key, row in (("step", "certified_s", "(certified)"), ("background", "certified_any_s", "(any)")):
            answer = self.json("compare", self.trace, *self.instance, "--copies", copies, *policies)
            for result in answer["results"]:
                self.assertAlmostEqual(result["gap_to_bound"], result["total_s"] / answer["bounds"][key] - 1, delta=1e-12)
                self.assertGreaterEqual(result["gap_to_bound"], 0)
            table = self.ok("compare", self.trace, *self.instance, "--copies", copies, *policies)
            ratios = [line.split()[4] for line in table.splitlines() if line.startswith(row) and " bound " in line]
            self.assertEqual(ratios, ["1.000"])
            self.assertEqual("x bound is over (any)" in table, copies == "background")

    def test_what_no_claim_covers_is_refused(self) -> None:
        for verb in (["compare", self.trace, *self.instance, "--policy", "lru", "--bound"],
                     ["bound", self.trace, *self.instance, "-o", "c.cert"],
                     ["size", self.trace, "--block-bytes", BLOCK, "--target", "80%"]):
            ran = self.run_cli(*verb, "--copies", "background", "--overlap", "none")
            self.refused(ran, cli.BAD_INPUT, "--copies background", "--overlap none")
        ran = self.run_cli("bound", self.trace, *self.background, "-o", "c.cert", "--exact")
        self.refused(ran, cli.BAD_INPUT, "--exact", "--copies step")
        self.assertNotIn("c.cert", self.names())

    def test_a_plan_for_copies_within_a_step_is_replayed_in_the_background(self) -> None:
        self.ok("compare", self.trace, *self.instance, "--policy", "planned", "--schedule-out", "step.kvs")
        planned = self.results(self.trace, *self.instance, "--policy", "planned")["planned"]
        answer = self.json("bound", self.trace, *self.background, "-o", "c.cert", "--schedule", "s.kvs")
        self.assertAlmostEqual(answer["gap"], answer["best_schedule_s"] / answer["any"]["bound_s"] - 1, delta=1e-12)
        replayed = self.json("replay", self.trace, "s.kvs", *self.background)["result"]
        self.assertEqual(replayed["total_s"], answer["best_schedule_s"])
        self.assertEqual({k: replayed[k] for k in ("promotions", "evictions", "peak_near_blocks")},
                         {k: planned[k] for k in ("promotions", "evictions", "peak_near_blocks")})
        self.refused(self.run_cli("replay", self.trace, "step.kvs", *self.background), cli.REJECTED, "--copies step")
        self.refused(self.run_cli("replay", self.trace, "s.kvs", *self.instance), cli.REJECTED, "--copies background")

    def test_a_plan_is_near_enough_if_it_is_near_the_bound_that_covers_it(self) -> None:
        trace = self.make_trace("drift.kvt", drifting_rows(layers=3, steps=80, prompt_tokens=40, reads=8), 40)
        for gap in (0, 2, 5):
            answer = self.json("bound", trace, "--block-bytes", BLOCK, "--near-blocks-per-layer", 14, "--copies",
                               "background", "--set", "hardware.far.link_read=55GB/s", "-o", "c.cert", "--schedule",
                               "s.kvs", "--gap", f"{gap}%")
            self.assertLess(answer["any"]["bound_s"], answer["bound_s"])
            self.assertEqual(answer["planning_status"] == "near_enough", answer["gap"] <= gap / 100, answer["gap"])

    def test_versions_of_schedules(self) -> None:
        """Version 1 is of the rule step; version 2 names its rule."""
        self.ok("compare", self.trace, *self.instance, "--policy", "lru", "--schedule-out", "s.kvs")
        self.assertEqual(struct.unpack_from("<I", self.read("s.kvs"), 8), (2,))
        self.assertIn(b'"copies":"step"', self.read("s.kvs"))
        digest = self.json("replay", self.trace, "s.kvs", *self.instance)["manifest"]["inputs"][0]["digest"]
        width = self.json("replay", self.trace, "s.kvs", *self.instance)["instance"]["blocks_per_layer"]
        steps = len(ROWS) * 2
        self.write("old.kvs", kvs_file.schedule(digest, 2, width, [], [([0], [])] + [([], [])] * (steps - 1)))
        empty = ["--start", "empty"]
        old = self.json("replay", self.trace, "old.kvs", *self.instance, *empty)["result"]
        self.assertEqual((old["promotions"], old["evictions"]), (1, 0))
        self.refused(self.run_cli("replay", self.trace, "old.kvs", *self.background, *empty), cli.REJECTED,
                     "--copies step")


if __name__ == "__main__":
    unittest.main()
