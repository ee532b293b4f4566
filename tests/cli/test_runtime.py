"""calibrate and run: a hardware file that other verbs take, and a trace with real pages that moves the bytes predicted."""

from __future__ import annotations

import json
import os
import unittest

import cli

CALIBRATE = ["calibrate", "--near-size", "64MiB", "--far-size", "64MiB", "--runs", "2", "--quiet"]
RUN = ["--near-blocks-per-layer", "64", "--weight-bytes-per-step", "0", "--quiet"]


class Calibrate(cli.CliTest):
    def test_the_file_is_a_hardware_file(self) -> None:
        report = json.loads(self.ok(*CALIBRATE, "--far", "paced:2GB/s", "--block-bytes", "192KiB", "-o", "m.toml", "--json"))
        self.assertEqual(report["far"], "paced:2GB/s")
        self.assertEqual(report["block_bytes"], 192 << 10)
        for rate in [report["near_read_bytes_per_s"], report["latency_s"], *[p["bytes_per_s"] for p in report["pieces"]]]:
            self.assertTrue(0 < rate["least"] <= rate["median"] <= rate["most"])
        for piece in report["pieces"]:
            self.assertLess(piece["bytes_per_s"]["median"], 2.05e9)  # no faster than its pace
        hardware = json.loads(self.ok("compare", cli.BUNDLED, "--hardware", "m.toml", *RUN, "--policy", "lru", "--json"))["instance"]["hardware"]
        self.assertEqual(hardware["figures"], "measured")
        fastest = max(p["bytes_per_s"]["median"] for p in report["pieces"] if p["direction"] == "read" and p["depth"] == 32)
        self.assertAlmostEqual(float(hardware["far.link_read_measured"].rstrip("MGB/s")) *
                               (1e6 if "MB" in hardware["far.link_read_measured"] else 1e9), fastest, delta=1e6)
        self.assertIn("measured: kvplace calibrate", self.read("m.toml").decode())
        self.assertIn("random pieces of 192 KiB", self.read("m.toml").decode())

    def test_the_far_file_is_gone_afterwards(self) -> None:
        self.ok(*CALIBRATE, "-o", "m.toml")
        self.assertEqual(self.names(), ["m.toml"])

    def test_what_is_wrong_is_said_before_anything_is_measured(self) -> None:
        for arguments, words in [(["--far", "tape"], "names no memory"), (["--far", "paced:2"], "paced:2"),
                                 (["--far", "numa:1000"], "numa:1000"), (["--runs", "0"], "1 to 100 times"),
                                 (["--far", "file:/dev/shm/kvplace-test-cli"], "tmpfs"),
                                 (["--near-size", "1MiB"], "64MiB"), (["--block-bytes", "5000B"], "multiple of 256"),
                                 (["--block-bytes", "1KiB"], "4KiB to 16MiB")]:
            with self.subTest(arguments=arguments):
                ran = self.run_cli("calibrate", "--quiet", "-o", "m.toml", *arguments)
                self.refused(ran, cli.BAD_INPUT, words)
                self.assertEqual(self.names(), [])


class Run(cli.CliTest):
    def runs(self, *arguments: str) -> list[dict]:
        return json.loads(self.ok("run", cli.BUNDLED, *RUN, "--decode-steps", "12", "--json", *arguments))["runs"]

    def test_bytes_are_those_predicted(self) -> None:
        """But for new KV, which goes to far in whole pages, and reads of what moves in the background."""
        for mode in ("inclusive", "exclusive"):
            for copies in ("step", "background"):
                policies = [word for name in ("lru", "kvplace", "belady", "static", "look-ahead:w=2")
                            for word in ("--policy", name)]
                for run in self.runs("--far", "paced:20GB/s", "--mode", mode, "--copies", copies, *policies):
                    with self.subTest(mode=mode, copies=copies, policy=run["policy"]):
                        self.assertTrue(run["complete"])
                        self.assertEqual(len(run["steps_measured_s"]), 12)
                        self.assertAlmostEqual(sum(run["steps_measured_s"]), run["measured_s"], delta=1e-9)
                        self.assertAlmostEqual(sum(run["steps_predicted_s"]), run["predicted_s"], delta=1e-9)
                        read = run["channels"]["far.link_read"]
                        near = run["channels"]["near.mem"]
                        if copies == "step":
                            self.assertEqual(run["near_reads"]["measured"] + run["far_reads"]["measured"],
                                             run["near_reads"]["predicted"] + run["far_reads"]["predicted"])
                            # A page that is demoted is read from its frame until it has left.
                            self.assertLessEqual(run["far_reads"]["measured"], run["far_reads"]["predicted"])
                            self.assertGreaterEqual(read["measured_bytes"], 0.97 * read["predicted_bytes"])
                        self.assertLess(abs(near["measured_bytes"] - near["predicted_bytes"]),
                                        0.1 * near["predicted_bytes"])

    def test_far_memory_keeps_its_pace(self) -> None:
        (run,) = self.runs("--far", "paced:200MB/s", "--policy", "static")
        moved = run["channels"]["far.mem"]["measured_bytes"]
        self.assertGreater(moved, 0)
        self.assertGreaterEqual(run["measured_s"], 0.95 * run["channels"]["far.link_read"]["measured_bytes"] / 200e6)

    def test_policies_that_are_planned_or_searched_for_run(self) -> None:
        self.make_trace("t.kvt", cli.random_rows(3, layers=2, steps=12, prompt_tokens=8), 8)
        report = json.loads(self.ok("run", "t.kvt", "--far", "file:" + self.path("far"), "--block-bytes", "16KiB",
                                    "--near-blocks-per-layer", "4", "--weight-bytes-per-step", "1MB", "--json",
                                    "--policy", "planned", "--policy", "sa:iterations=3", "--policy", "lru"))
        self.assertEqual([run["policy"].split(":")[0] for run in report["runs"]], ["planned", "sa", "lru"])
        self.assertEqual([run["steps"] for run in report["runs"]], [12, 12, 12])
        self.assertEqual(self.names(), ["t.kvt"])

    def test_text_has_a_row_for_each_policy(self) -> None:
        out = self.ok("run", cli.BUNDLED, *RUN, "--decode-steps", "2", "--far", "dram", "--policy", "lru", "--policy",
                      "static", "--overlap", "none")
        for words in ("measured /", "lru  ", "static  ", "far.link_read", "waiting for far"):
            self.assertIn(words, out)

    def test_what_the_runtime_has_not_is_refused(self) -> None:
        for arguments, words in [(["--batch", "2"], "one request"), (["--weights-near", "0.5"], "weights"),
                                 (["--mirrored-reads", "split"], "mirrored"), (["--block-bytes", "1KiB"], "4KiB"),
                                 (["--policy", "best-case"], "ideal"), (["--far", "tape"], "names no memory"),
                                 (["--weight-bytes-per-step", "1GB"], "weights")]:
            given = {"--far": "dram", "--weight-bytes-per-step": "0", arguments[0]: arguments[1]}
            with self.subTest(arguments=arguments):
                ran = self.run_cli("run", cli.BUNDLED, "--near-blocks-per-layer", "64", "--decode-steps", "1", "--quiet",
                                   *(word for pair in given.items() for word in pair))
                self.refused(ran, cli.BAD_INPUT, words)

    def test_far_memory_takes_no_file_of_anybody(self) -> None:
        self.make_trace("t.kvt", cli.random_rows(3, layers=2, steps=12, prompt_tokens=8), 8)
        self.write("notes.txt", "mine")
        os.link(self.path("t.kvt"), self.path("link.kvt"))
        before = {name: self.read(name) for name in self.names()}
        for name, words in [("t.kvt", "is the input as well"), ("link.kvt", "is the input as well"),
                            ("notes.txt", "was not made as far memory")]:
            ran = self.run_cli("run", "t.kvt", "--far", "file:" + name, "--block-bytes", "16KiB",
                               "--near-blocks-per-layer", "4", "--weight-bytes-per-step", "0", "--policy", "lru")
            self.refused(ran, cli.BAD_INPUT, words)
            self.assertEqual({name: self.read(name) for name in self.names()}, before)


if __name__ == "__main__":
    unittest.main()
