"""kvplace bound: what is proven holds for every policy and is verified; schedules, limits, resuming, bad input."""

from __future__ import annotations

import json
import signal
import time
import unittest

import cert_file
import cli
import numpy as np

BLOCKS = ("--block-bytes", "4KiB", "--weight-bytes-per-step", 0)
FLAGS = ("--near-blocks-per-layer", 9, *BLOCKS)
KEYS = {"manifest", "instance", "bound_s", "bound_exact", "best_schedule_s", "gap", "seconds", "search_seconds",
        "evaluations", "status", "planning_status", "holds_for", "capacity_price_s_per_gib", "any"}
PAGES = ("--hardware", "h100-sxm-pcie5", "--near-blocks-per-layer", 64, "--weight-bytes-per-step", 0)
SLOW_LINK = ("--set", "hardware.far.link_read=30GB/s")
# One of each feature, and some together.
CASES = (
    SLOW_LINK,
    ("--mode", "exclusive", *SLOW_LINK),
    ("--barrier", "token", *SLOW_LINK),
    ("--overlap", "none"),
    ("--batch", 3, *SLOW_LINK),
    ("--start", "empty"),
    ("--start", "free", *SLOW_LINK),
    ("--set", "options.mirrored_reads=split"),
    ("--set", "hardware.interference=0.2", *SLOW_LINK),
    ("--set", "hardware.step_overhead=30ns", *SLOW_LINK),
    ("--mode", "exclusive", "--barrier", "token", "--overlap", "none", "--batch", 2, "--start", "free"),
)


class BoundTest(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.trace = self.make_trace("t.kvt", cli.random_rows(11, 3, 40, 40, 2), 40, 2)

    def bound(self, *flags: object, code: int = cli.DONE) -> dict:
        """What is printed; it is complete, and the certificate proves it, in the second verifier's eyes as well."""
        ran = self.run_cli("bound", self.trace, *flags, "-o", "c.cert", "--any-output", "a.cert", "--json")
        self.assertEqual((ran.code, ran.err), (code, ""), ran)
        answer = json.loads(ran.out)
        self.assertEqual(set(answer) - {"exact"}, KEYS)
        self.assertEqual(answer["status"] == "converged", code == cli.DONE)
        for path, claim, claimed in (("c.cert", "step", answer), ("a.cert", "any", answer["any"])):
            proven = self.json("verify", self.trace, path)
            self.assertEqual((proven["valid"], proven["bound_exact"], proven["bound_s"], proven["holds_for"]),
                             (True, claimed["bound_exact"], claimed["bound_s"], claimed["holds_for"]))
            self.assertEqual(proven["certificate"]["claim"], claim)
            code, out, err = cert_file.second_verifier(self.folder, self.trace, path)
            self.assertEqual((code, out.splitlines()[:1], err), (0, [claimed["bound_exact"]], ""))
        self.assertLessEqual(answer["any"]["bound_s"], answer["bound_s"])
        return answer


class Bound(BoundTest):
    def test_no_policy_is_below_the_bound(self) -> None:
        for case in CASES:
            with self.subTest(case=case):
                flags = (*FLAGS, *case)
                answer = self.bound(*flags, "--schedule", "s.kvs")
                policies = ("--policy", "belady", "--policy", "belady-global", "--policy", "planned") \
                    if "free" in case else ()
                compared = self.json("compare", self.trace, *flags, *policies, "--bound")
                certified = compared["bounds"]["certified_s"]
                self.assertEqual(certified, answer["bound_s"])
                self.assertGreater(certified, 0)
                self.assertGreaterEqual(len(compared["results"]), 3)
                for result in compared["results"]:
                    if result["information"] == "ideal":
                        self.assertEqual((result["gap_to_bound"], result["gap_to_perfect_split"]), (None, None))
                        continue
                    self.assertGreaterEqual(result["total_s"], certified, result["policy"])
                    self.assertAlmostEqual(result["gap_to_bound"], result["total_s"] / certified - 1, places=12)
                replayed = self.json("replay", self.trace, "s.kvs", *flags)["result"]["total_s"]
                self.assertEqual(answer["best_schedule_s"], replayed)
                self.assertGreaterEqual(replayed, certified)
                self.assertAlmostEqual(answer["gap"], replayed / certified - 1, places=12)

    def test_at_least_the_perfect_split(self) -> None:
        for case in (SLOW_LINK, ("--barrier", "token"), ("--set", "options.mirrored_reads=split"), ("--batch", 3)):
            with self.subTest(case=case):
                bounds = self.json("compare", self.trace, *FLAGS, *case, "--policy", "lru", "--bound")["bounds"]
                self.assertGreaterEqual(bounds["certified_s"], bounds["perfect_split_s"] * (1 - 1e-9))

    def test_text(self) -> None:
        text = self.ok("bound", self.trace, *FLAGS, *SLOW_LINK, "-o", "c.cert", "--schedule", "s.kvs")
        answer = self.bound(*FLAGS, *SLOW_LINK, "--schedule", "s.kvs")
        for part in (f"{answer['bound_s']:.9f} s", f"{answer['best_schedule_s']:.9f} s", "converged",
                     f"{100 * answer['gap']:.3f} % above the bound", "kvplace verify", "1 % more near memory"):
            self.assertIn(part, text)
        compared = self.ok("compare", self.trace, *FLAGS, "--policy", "lru", "--bound")
        self.assertIn("x bound", compared)
        self.assertIn("(certified) ", compared)

    def test_threads(self) -> None:
        flags = (*FLAGS, *SLOW_LINK)
        self.bound(*flags)
        first = self.read("c.cert")
        for threads in (1, 5):
            self.bound(*flags, "--threads", threads)
            self.assertEqual(self.read("c.cert"), first, threads)

    def test_values(self) -> None:
        self.bound(*FLAGS, *SLOW_LINK, "--values", "v.npy")
        values = np.load(self.path("v.npy"))
        rows = cli.random_rows(11, 3, 40, 40, 2)
        self.assertEqual((values.dtype, values.shape), (np.float32, (sum(len(ids) for row in rows for ids in row),)))
        # Minus infinity: no later read but of a block being written, which is near by rule.
        reads = [(t, layer, block) for t, row in enumerate(rows) for layer, ids in enumerate(row) for block in ids]
        last = {(layer, block): t for t, layer, block in reads if block != (40 + t) // 2}
        expected = [t >= last.get((layer, block), -1) for t, layer, block in reads]
        self.assertEqual(np.isneginf(values).tolist(), expected)
        self.assertGreater(np.nanmax(values), 0)
        self.bound(*FLAGS, *SLOW_LINK, "--mode", "exclusive", "--values", "v.npy")
        self.assertTrue(np.isfinite(np.load(self.path("v.npy"))).all())  # leaving near has a price, never minus infinity

    def test_exact(self) -> None:
        self.trace = self.make_trace("t.kvt", [[[0, 1, 3]], [[1, 2, 4]], [[0, 1, 5]]], 3)
        flags = ("--block-bytes", "1MB", "--near-capacity", "3MB", "--start", "empty")
        answer = self.bound(*flags, "--weight-bytes-per-step", "10MB", "--exact", "--schedule", "s.kvs")
        exact = answer["exact"]
        self.assertTrue(exact["milp_optimal"])
        self.assertLessEqual(answer["bound_s"], exact["milp_s"] * (1 + 1e-9))
        self.assertGreaterEqual(answer["bound_s"], exact["lp_s"] * (1 - 1e-6))
        self.assertLessEqual(exact["lp_s"], exact["milp_s"] * (1 + 1e-9))
        self.assertLessEqual(exact["milp_s"], answer["best_schedule_s"] * (1 + 1e-9))
        self.assertGreater(min(exact["variables"], exact["rows"]), 0)
        # The worked example of docs/formulation.md: belady's time is the best.
        self.assertAlmostEqual(exact["milp_s"] * 1e6, 12.857, places=3)
        text = self.ok("bound", self.trace, *flags, "--weight-bytes-per-step", "10MB", "--exact", "-o", "c.cert")
        self.assertIn("linear relaxation", text)
        self.assertIn("of all, exact", text)

    def test_edges(self) -> None:
        none = self.bound("--near-capacity", "0B", *BLOCKS, "--schedule", "s.kvs")
        self.assertLess(none["gap"], 1e-9)  # there is nothing to decide
        some = self.bound(*FLAGS, "--schedule", "s.kvs")
        whole = self.bound("--near-fraction", 1, *BLOCKS, "--schedule", "s.kvs")
        self.assertLessEqual(some["bound_s"], none["bound_s"])
        self.assertLessEqual(whole["bound_s"], some["bound_s"])
        for rows, prompt in (([[[0, 1], [1]]], 4), ([[[0]], [[0]], [[0]]], 1), ([[[]], [[]]], 3)):
            with self.subTest(rows=rows):
                self.trace = self.make_trace("t.kvt", rows, prompt, 4)
                for capacity in ("0B", "4KiB", "1GiB"):
                    for mode in ("inclusive", "exclusive"):
                        answer = self.bound("--near-capacity", capacity, *BLOCKS, "--mode", mode, "--schedule", "s.kvs")
                        self.assertGreaterEqual(answer["best_schedule_s"], answer["bound_s"])


class Limits(BoundTest):
    def test_time_limit(self) -> None:
        converged = self.bound(*FLAGS, *SLOW_LINK)
        limited = self.bound(*FLAGS, *SLOW_LINK, "--time-limit", "0s", code=cli.LIMIT_REACHED)
        self.assertEqual(limited["status"], "time_limit")
        self.assertLessEqual(limited["bound_s"], converged["bound_s"])
        # Even so there is a perfect split's worth: the same prices in every step, so a little less than step by step.
        split = self.json("compare", self.trace, *FLAGS, *SLOW_LINK, "--policy", "lru")["bounds"]["perfect_split_s"]
        self.assertGreaterEqual(limited["bound_s"], 0.9 * split)

    def test_planning_ends_with_the_time_and_where_it_is_good_enough(self) -> None:
        for mode in ("inclusive", "exclusive"):
            flags = (*FLAGS, *SLOW_LINK, "--mode", mode, "--schedule", "s.kvs")
            whole = self.bound(*flags)
            best = whole["best_schedule_s"]
            self.assertIn(whole["planning_status"], ("converged", "near_enough"))
            for limit in (("--time-limit", "0s"), ("--gap", "100000%")):
                with self.subTest(mode=mode, limit=limit):
                    code = cli.LIMIT_REACHED if limit[0] == "--time-limit" else 0
                    early = self.bound(*flags, *limit, code=code)
                    self.assertEqual(early["planning_status"], "time_limit" if code else "near_enough")
                    self.assertEqual(early["status"], "time_limit" if code else "converged")
                    self.assertGreaterEqual(early["best_schedule_s"], best * (1 - 1e-9))
                    replayed = self.json("replay", self.trace, "s.kvs", *FLAGS, *SLOW_LINK, "--mode", mode)
                    self.assertEqual(replayed["result"]["total_s"], early["best_schedule_s"])

    def test_certificate_says_what_made_it(self) -> None:
        self.bound(*FLAGS)
        made_by = self.json("verify", self.trace, "c.cert")["certificate"]["made_by"]
        self.assertRegex(made_by, r"^kvplace \d+\.\d+\.\d+$")

    def test_interrupt(self) -> None:
        """The best so far, with its certificate. Search and planning of this trace take much longer than a second."""
        self.ok("generate", "quest-64k", "-o", "t.kvt", "--layers", 24, "--steps", 2000)
        for number in (signal.SIGINT, signal.SIGTERM):
            process = cli.start("bound", "t.kvt", "--near-blocks-per-layer", 200, "--block-bytes", "16KiB",
                                "--weight-bytes-per-step", 0, *SLOW_LINK, "-o", "i.cert", "--schedule", "i.kvs",
                                "--values", "i.npy", "--threads", 1, "--json", cwd=self.folder)
            time.sleep(0.7)
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
            ran = cli.Ran(("bound",), process.returncode, out, err)
            self.assertEqual((ran.code, ran.err), (cli.LIMIT_REACHED, ""), ran)
            answer = json.loads(ran.out)
            # The search may have converged; planning had not begun or had no schedule.
            self.assertIn(answer["status"], ("converged", "interrupted"))
            self.assertEqual((answer["planning_status"], answer["best_schedule_s"]), ("interrupted", None))
            self.assertEqual(self.json("verify", "t.kvt", "i.cert")["bound_exact"], answer["bound_exact"])
            self.assertEqual(self.names(), ["i.cert", "t.kvt"])

    def test_interrupt_while_planning(self) -> None:
        """The bound has converged; a schedule that is there is whole, but might have been better."""
        process = cli.start("bound", cli.BUNDLED, *PAGES, "-o", "i.cert", "--schedule", "i.kvs", "--json", "--quiet",
                            cwd=self.folder)
        while not any(name.startswith("i.kvs") for name in self.names()):
            self.assertIsNone(process.poll())
            time.sleep(0.1)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, err), (cli.LIMIT_REACHED, b""), out)
        answer = json.loads(out)
        self.assertEqual((answer["status"], answer["planning_status"]), ("converged", "interrupted"))
        if answer["best_schedule_s"] is None:
            self.assertEqual(self.names(), ["i.cert", "t.kvt"])
        else:
            replayed = self.json("replay", cli.BUNDLED, "i.kvs", *PAGES)
            self.assertEqual(replayed["result"]["total_s"], answer["best_schedule_s"])

    def test_resume_keeps_what_is_better(self) -> None:
        flags = (*FLAGS, *SLOW_LINK)
        converged = self.bound(*flags)
        resumed = self.bound(*flags, "--resume", "--time-limit", "0s", code=cli.LIMIT_REACHED)
        self.assertEqual(resumed["bound_exact"], converged["bound_exact"])
        self.bound(*flags, "--time-limit", "0s", code=cli.LIMIT_REACHED)
        self.assertEqual(self.bound(*flags, "--resume")["bound_exact"], converged["bound_exact"])

    def test_resume_refuses_other_certificates(self) -> None:
        self.bound(*FLAGS)
        kept = self.read("c.cert")
        other = self.make_trace("other.kvt", cli.random_rows(12, 3, 40, 40, 2), 40, 2)

        def resume(trace: str, *flags: object) -> cli.Ran:
            return self.run_cli("bound", trace, *flags, "-o", "c.cert", "--resume")

        self.refused(resume(other, *FLAGS), cli.BAD_INPUT, "c.cert", "another trace", "trace_digest")
        for flags, *says in (((*BLOCKS, "--near-blocks-per-layer", 10), "capacity_bytes", "110592", "122880"),
                             ((*FLAGS, "--batch", 2), "batch (1 there, 2 here)"),
                             ((*FLAGS, *SLOW_LINK), "bandwidth_bytes_per_second"),
                             ((*FLAGS, "--mode", "exclusive"), "mode", "inclusive", "exclusive")):
            self.refused(resume(self.trace, *flags), cli.BAD_INPUT, "c.cert", "another instance", *says)
        self.assertEqual(self.read("c.cert"), kept)
        self.write("c.cert", kept[:-3])
        self.refused(resume(self.trace, *FLAGS), cli.REJECTED, "c.cert")
        head = self.json("info", self.trace)  # prices that claim too much
        groups = head["layers"] * head["steps"]
        self.write("c.cert", kept)
        numbers = self.json("verify", self.trace, "c.cert")["certificate"]
        prices = cert_file.price_words([[2**50, 0, 0, 0]] * groups, [0] * groups)
        self.write("c.cert", cert_file.certificate(cert_file.plain(numbers), cert_file.compressed(prices)))
        self.refused(resume(self.trace, *FLAGS), cli.REJECTED, "claim more")


class BadInput(BoundTest):
    def test_bad_input(self) -> None:
        self.write("cut.kvt", self.read("t.kvt")[:-20])
        before = self.names()
        for arguments, *says in (
                ((self.trace, *FLAGS), "--output"),
                ((self.trace, *FLAGS, "-o", self.trace), "is the input as well"),
                ((self.trace, *FLAGS, "-o", "x.cert", "--schedule", self.trace), "is the input as well"),
                ((self.trace, *FLAGS, "-o", "x.cert", "--values", self.trace), "is the input as well"),
                ((self.trace, *FLAGS, "-o", "x.cert", "--schedule", "x.cert"), "x.cert", "two outputs"),
                ((self.trace, *FLAGS, "-o", "x.cert", "--resume"), "x.cert"),
                ((self.trace, *FLAGS, "-o", "x.cert", "--time-limit", 60), '--time-limit: "60" needs a unit'),
                ((self.trace, *FLAGS, "-o", "x.cert", "--time-limit", "-1s"), '"-1s"'),
                ((self.trace, *FLAGS, "-o", "x.cert", "--gap", "5"), '--gap: "5" is not a percentage, like 90%'),
                ((self.trace, *FLAGS, "-o", "x.cert", "--gap", "-5%"), '"-5%"'),
                ((self.trace, *FLAGS, "-o", "x.cert", "--set", "hardware.far.link_read=0GB/s"), "far.link_read"),
                ((self.trace, *FLAGS, "-o", "x.cert", "--hardware", "h100-sxm-pcie5", "--set",
                  "hardware.far.link_read=0GB/s"), "far.link_read", '"0GB/s"'),
                ((self.trace, *FLAGS, "-o", "x.cert", "--hardware", "h100-sxm-pcie5", "--set",
                  "hardware.near.bandwidth=0GB/s"), "near.bandwidth", '"0GB/s"'),
                (("cut.kvt", *FLAGS, "-o", "x.cert"), "cut.kvt"),
                (("none.kvt", *FLAGS, "-o", "x.cert"), "none.kvt"),
                ((self.trace, *FLAGS, "-o", "no/x.cert"), "no/x.cert")):
            with self.subTest(arguments=arguments):
                self.refused(self.run_cli("bound", *arguments), cli.BAD_INPUT, *says)
                self.assertEqual(self.names(), before)

    def test_too_large_for_exact(self) -> None:
        ran = self.run_cli("bound", cli.BUNDLED, "--near-blocks-per-layer", 96, "-o", "x.cert", "--exact")
        self.refused(ran, cli.BAD_INPUT, "100000 variables")
        self.assertEqual(self.names(), ["t.kvt"])  # before the search


if __name__ == "__main__":
    unittest.main()
