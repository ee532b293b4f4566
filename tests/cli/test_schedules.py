"""Stored schedules: a replay is the run again, and whatever does not fit the trace and the instance is rejected."""

from __future__ import annotations

import json
import unittest

import cli
import kvs_file

BLOCK = 4000
ROWS = cli.random_rows(5, layers=2, steps=30, prompt_tokens=12)
SAME = ("steps", "total_s", "tokens_per_s", "reads", "near_reads", "far_reads", "promotions", "demotions", "evictions",
        "near_bytes", "far_read_bytes", "far_write_bytes", "peak_near_blocks", "aggregate_utilization",
        "far_reads_by_layer")


class Schedules(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.trace = self.make_trace("t.kvt", ROWS, 12)
        self.instance = ["--block-bytes", BLOCK, "--near-blocks-per-layer", 5]

    def record(self, *flags: object) -> dict:
        """One policy's result; its schedule is in s.kvs."""
        return self.json("compare", self.trace, *self.instance, *flags, "--schedule-out", "s.kvs")["results"][0]

    def rejected(self, *flags: object, why: str = "s.kvs", trace: str = "t.kvt") -> None:
        ran = self.run_cli("replay", trace, "s.kvs", *flags)
        self.refused(ran, cli.REJECTED, why)

    def test_replay_is_the_run_again(self) -> None:
        listed = json.loads(self.ok("list", "policies", "--json"))
        policies = [p["name"] for p in listed
                    if p["information"] != "ideal" and p["name"] != "sa" and not p["requires_ranking"]]
        for policy in [*policies, "sa:iterations=2"]:
            for more in ([], ["--mode", "exclusive", "--start", "empty", "--batch", 2, "--barrier", "token"]):
                with self.subTest(policy=policy, more=more):
                    ran = self.record(*more, "--policy", policy)
                    answer = self.json("replay", self.trace, "s.kvs", *self.instance, *more)
                    self.assertEqual({k: answer["result"][k] for k in SAME}, {k: ran[k] for k in SAME})
                    self.assertLessEqual({"manifest", "instance", "bounds", "result"}, set(answer))
                    self.assertIn("stored", self.ok("replay", self.trace, "s.kvs", *self.instance, *more))
        free = self.record("--start", "free", "--policy", "belady-global")
        self.assertEqual(self.json("replay", self.trace, "s.kvs", *self.instance, "--start",
                                   "free")["result"]["total_s"],
                         free["total_s"])

    def test_another_machine(self) -> None:
        """The same decisions elsewhere take other times, as the policy itself does there."""
        slow = ["--hardware", "h100-sxm-pcie5"]
        self.record("--policy", "lru")
        replayed = self.json("replay", self.trace, "s.kvs", *self.instance, *slow)["result"]
        direct = self.json("compare", self.trace, *self.instance, *slow, "--policy", "lru")["results"][0]
        self.assertEqual(replayed["total_s"], direct["total_s"])

    def test_bundled_trace(self) -> None:
        instance = ["--near-blocks-per-layer", 96, "--mode", "exclusive"]
        ran = self.json("compare", cli.BUNDLED, *instance, "--policy", "lru-global", "--schedule-out",
                        "s.kvs")["results"][0]
        answer = self.json("replay", cli.BUNDLED, "s.kvs", *instance)["result"]
        self.assertEqual({k: answer[k] for k in SAME}, {k: ran[k] for k in SAME})

    def test_another_instance(self) -> None:
        self.record("--policy", "lru")
        self.rejected("--block-bytes", BLOCK, "--near-blocks-per-layer", 4, why="schedule")
        self.rejected(*self.instance, "--mode", "exclusive", why="--mode inclusive")
        self.rejected(*self.instance, "--start", "empty", why="--start empty")
        self.record("--policy", "lru", "--start", "empty")
        self.rejected("--block-bytes", BLOCK, "--near-blocks-per-layer", 4, "--start", "empty", why="capacity")
        more = self.json("replay", self.trace, "s.kvs", "--block-bytes", BLOCK, "--near-blocks-per-layer", 6,
                         "--start", "empty")["result"]
        self.assertEqual(more["peak_near_blocks"], 10)

    def test_another_trace(self) -> None:
        self.record("--policy", "lru")
        other = cli.random_rows(6, layers=2, steps=30, prompt_tokens=12)
        self.make_trace("other.kvt", other, 12)
        self.rejected(*self.instance, trace="other.kvt", why="another trace")

    def test_damaged_files(self) -> None:
        self.record("--policy", "lru")
        whole = self.read("s.kvs")
        for size in range(0, len(whole), 5):
            self.write("s.kvs", whole[:size])
            self.rejected(*self.instance)
        for at in range(0, len(whole), 2):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << at % 8
            self.write("s.kvs", bytes(damaged))
            self.rejected(*self.instance)

    def test_decisions_that_break_a_rule(self) -> None:
        """Schedules that are whole as files, on the example of the formulation; block i of one layer has index i."""
        self.make_trace("w.kvt", [[[0, 1, 3]], [[1, 2, 4]], [[0, 1, 5]]], 3)
        digest = self.json("info", "w.kvt")["manifest"]["digest"]
        instance = ["--block-bytes", "1MB", "--near-blocks-per-layer", 3, "--weight-bytes-per-step", "10MB"]

        def write(*steps: tuple[list[int], list[int]], start: list[int] | None = None, **more: object) -> None:
            self.write("s.kvs", kvs_file.schedule(more.pop("digest", digest), 1, 6, start or [], list(steps), **more))

        lru = (([0, 1, 3], []), ([2, 4], [0, 3]), ([0, 5], [2, 4]))
        write(*lru)
        replayed = self.json("replay", "w.kvt", "s.kvs", *instance, "--start", "empty")["result"]
        self.assertEqual((replayed["far_reads"], replayed["promotions"], replayed["evictions"]), (4, 4, 4))
        self.assertAlmostEqual(replayed["total_s"], 14e-6, delta=1e-18)

        empty = [*instance, "--start", "empty"]
        for steps, why in (
                ((([0, 1, 3], []), ([2, 4], [0]), ([], [])), "decode step 1"),  # four places
                ((([0, 1, 3], []), ([1], [0]), ([], [])), "near already"),
                ((([0, 1, 3], []), ([2], [2]), ([], [])), "not near"),
                ((([0, 4], []), ([], []), ([], [])), "does not exist"),  # appended one step later
                ((([0], []), ([], []), ([], [5])), "decode step 2"),
                ((([0, 1], [0]), ([], []), ([], [])), "decode step 0")):
            with self.subTest(steps=steps):
                write(*steps)
                self.rejected(*empty, trace="w.kvt", why=why)
        for what, steps, more, why in (
                ("of another trace", lru, {"digest": digest[::-1]}, "another trace"),
                ("too short", lru[:2], {"steps": 3}, "s.kvs"), ("too long", (*lru, ([], [])), {"steps": 3}, "s.kvs"),
                ("of another shape", lru, {"layers": 2, "steps": 1, "blocks_per_layer": 3}, "shape"),
                ("of an unknown mode", lru, {"mode": "sideways"}, "s.kvs")):
            with self.subTest(what):
                write(*steps, **more)
                self.rejected(*empty, trace="w.kvt", why=why)
        with self.subTest("start"):
            write(*lru, start=[0])
            self.rejected(*empty, trace="w.kvt", why="--start empty")
            write(([], []), ([], []), ([], []), start=[0, 1, 2])
            self.assertEqual(self.json("replay", "w.kvt", "s.kvs", *instance)["result"]["far_reads"], 0)
            free = [*instance, "--start", "free"]
            self.assertEqual(self.json("replay", "w.kvt", "s.kvs", *free)["result"]["far_reads"], 0)
            write(([], []), ([], []), ([], []), start=[0, 3])  # 3 is not of the prompt
            self.rejected(*free, trace="w.kvt", why="does not exist")
            write(([], []), ([], []), ([], []), start=[0, 1, 2])
            self.rejected(*free[:2], "--near-blocks-per-layer", 2, "--start", "free", trace="w.kvt", why="capacity")

    def test_a_replay_writes_nothing(self) -> None:
        self.record("--policy", "lru")
        self.ok("replay", self.trace, "s.kvs", *self.instance)
        self.assertEqual(self.names(), ["s.kvs", "t.kvt"])


if __name__ == "__main__":
    unittest.main()
