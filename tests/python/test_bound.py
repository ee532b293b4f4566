"""Bounds and verifying give what the command gives; keywords are its flags."""

import os
import signal
import unittest
from fractions import Fraction

import kvplace
from python_test import BUNDLED, FLAGS, INSTANCE, CliTest, random_rows

SMALL = {"near_blocks_per_layer": 9, "block_bytes": "4KiB", "weight_bytes_per_step": 0,
         "hardware.far.link_read": "30GB/s"}
SMALL_FLAGS = ("--near-blocks-per-layer", 9, "--block-bytes", "4KiB", "--weight-bytes-per-step", 0, "--set",
               "hardware.far.link_read=30GB/s")


def comparable(values):
    """Without what differs from run to run; the command runs in the folder of its files, the package elsewhere."""
    for entry in values["manifest"]["inputs"]:
        entry["file"] = os.path.basename(entry["file"])
    timed = ("seconds", "search_seconds")
    any_of = {key: value for key, value in values.get("any", {}).items() if key not in timed}
    return {key: value for key, value in values.items() if key not in timed} | {"any": any_of}


class Bounds(CliTest):
    def setUp(self):
        super().setUp()
        self.make_trace("t.kvt", random_rows(11, 3, 40, 40, 2), 40, 2)
        self.trace = kvplace.Trace(self.path("t.kvt"))
        self.instance = kvplace.Instance(self.trace, **SMALL)

    def test_as_the_command_says(self):
        proven = kvplace.bound(self.trace, self.instance, certificate=self.path("a.cert"), schedule=self.path("a.kvs"),
                               values=self.path("a.npy"))
        expected = self.json("bound", "t.kvt", *SMALL_FLAGS, "-o", "b.cert", "--schedule", "b.kvs", "--values", "b.npy")
        self.assertEqual(comparable(proven.to_dict()), comparable(expected))
        for ending in ("cert", "kvs", "npy"):
            self.assertEqual(self.read("a." + ending), self.read("b." + ending), ending)
        for key in ("bound_s", "best_schedule_s", "gap", "status", "planning_status", "holds_for",
                    "capacity_price_s_per_gib"):
            self.assertEqual(getattr(proven, key), expected[key])
        self.assertEqual(proven.bound_exact, Fraction(expected["bound_exact"]))
        self.assertIsNone(proven.exact)
        shown = self.ok("bound", "t.kvt", *SMALL_FLAGS, "-o", "b.cert", "--schedule", "b.kvs").splitlines()
        for line, printed in zip(repr(proven).splitlines(), shown, strict=True):
            self.assertEqual(line.split(" in ")[0], printed.split(" in ")[0])

    def test_without_files(self):
        before = self.names()
        proven = kvplace.bound(self.trace, self.instance)
        self.assertEqual((self.names(), proven.best_schedule_s, proven.gap), (before, None, None))
        self.assertIsNone(proven.planning_status)
        compared = kvplace.compare(self.trace, self.instance, ["lru", "planned"], bound=True)
        self.assertEqual(compared.bounds.certified_s, proven.bound_s)
        expected = self.json("compare", "t.kvt", *SMALL_FLAGS, "--policy", "lru", "--policy", "planned", "--bound")
        self.assertEqual(comparable(compared.to_dict()), comparable(expected))
        for result in compared:
            self.assertGreaterEqual(result.gap_to_bound, 0)
        self.assertIsNone(kvplace.compare(self.trace, self.instance, "lru").bounds.certified_s)

    def test_exact(self):
        self.make_trace("tiny.kvt", [[[0, 1, 3]], [[1, 2, 4]], [[0, 1, 5]]], 3)
        trace = kvplace.Trace(self.path("tiny.kvt"))
        instance = kvplace.Instance(trace, block_bytes="1MB", weight_bytes_per_step="10MB", near_capacity="3MB",
                                    start="empty")
        proven = kvplace.bound(trace, instance, exact=True)
        self.assertLessEqual(proven.bound_s, proven.exact["milp_s"] * (1 + 1e-9))
        self.assertLessEqual(proven.exact["lp_s"], proven.exact["milp_s"] * (1 + 1e-9))

    def test_verify(self):
        proven = kvplace.bound(self.trace, self.instance, certificate=self.path("a.cert"))
        verified = kvplace.verify(self.trace, self.path("a.cert"))
        self.assertEqual(verified.to_dict(), self.json("verify", "t.kvt", "a.cert"))
        self.assertEqual(repr(verified), self.ok("verify", "t.kvt", "a.cert").rstrip("\n"))
        self.assertEqual((verified.bound_s, verified.bound_exact), (proven.bound_s, proven.bound_exact))
        self.assertEqual(verified.certificate["steps"], len(self.trace))
        self.make_trace("other.kvt", random_rows(12, 3, 40, 40, 2), 40, 2)
        with self.assertRaisesRegex(kvplace.Rejected, "another trace"):
            kvplace.verify(kvplace.Trace(self.path("other.kvt")), self.path("a.cert"))
        self.write("cut.cert", self.read("a.cert")[:-1])
        with self.assertRaises(kvplace.Rejected):
            kvplace.verify(self.trace, self.path("cut.cert"))
        self.assertEqual(kvplace.verify(self.trace, self.path("a.cert"), instance=self.instance).to_dict(), verified.to_dict())
        meant = kvplace.Instance(self.trace, **{**SMALL, "batch": 2})
        with self.assertRaisesRegex(kvplace.Rejected, r"another instance: batch \(1 there, 2 here\)"):
            kvplace.verify(self.trace, self.path("a.cert"), instance=meant)
        with self.assertRaisesRegex(kvplace.BadInput, "none.cert"):
            kvplace.verify(self.trace, self.path("none.cert"))

    def test_resume(self):
        name = self.path("a.cert")
        proven = kvplace.bound(self.trace, self.instance, certificate=name)
        again = kvplace.bound(self.trace, self.instance, certificate=name, resume=True, time_limit=0)
        self.assertEqual((again.bound_exact, again.status), (proven.bound_exact, "time_limit"))
        other = kvplace.Instance(self.trace, **{**SMALL, "batch": 2})
        with self.assertRaisesRegex(kvplace.BadInput, r"a\.cert: .*batch \(1 there, 2 here\)"):
            kvplace.bound(self.trace, other, certificate=name, resume=True)

    def test_gap(self):
        kvplace.Trace(BUNDLED).slice(self.path("part.kvt"), steps=(0, 64), layers=(0, 6))
        trace = kvplace.Trace(self.path("part.kvt"))
        instance = kvplace.Instance(trace, **{**INSTANCE, "near_blocks_per_layer": 64})

        def gap_with(enough):
            return kvplace.bound(trace, instance, schedule=self.path("g.kvs"), gap=enough).gap

        first_draft, best = gap_with(10.0), gap_with(0)
        self.assertLess(best, first_draft)
        self.assertLessEqual(gap_with(first_draft / 2), first_draft / 2)

    def test_errors(self):
        self.make_trace("other.kvt", random_rows(11, 3, 41, 40, 2), 40, 2)
        for sentence, trace, instance, keywords in (
            ("time_limit", self.trace, self.instance, {"time_limit": -1}),
            ("time_limit", self.trace, self.instance, {"time_limit": float("nan")}),
            ("gap", self.trace, self.instance, {"gap": -0.01}),
            ("certificate=", self.trace, self.instance, {"resume": True}),
            ("input as well", self.trace, self.instance, {"certificate": self.path("t.kvt")}),
            ("two outputs", self.trace, self.instance, {"certificate": self.path("x"), "values": self.path("x")}),
            ("another trace", kvplace.Trace(self.path("other.kvt")), self.instance, {}),
        ):
            with self.subTest(sentence=sentence), self.assertRaisesRegex(kvplace.BadInput, sentence):
                kvplace.bound(trace, instance, **keywords)
        self.assertEqual(self.names(), ["other.kvt", "t.kvt"])


class LongBounds(CliTest):
    def test_interrupt(self):
        trace = kvplace.Trace(BUNDLED)
        instance = kvplace.Instance(trace, **INSTANCE)
        stop = kvplace.Interrupt()
        stop.request()
        proven = kvplace.bound(trace, instance, certificate=self.path("i.cert"), schedule=self.path("i.kvs"),
                               interrupt=stop)
        self.assertEqual((proven.status, proven.best_schedule_s), ("interrupted", None))
        self.assertEqual(kvplace.verify(trace, self.path("i.cert")).bound_exact, proven.bound_exact)
        self.assertEqual(self.names(), ["i.cert"])
        with self.assertRaisesRegex(kvplace.Interrupted, "stopped"):
            kvplace.verify(trace, self.path("i.cert"), interrupt=stop)

    def test_ctrl_c(self):
        trace = kvplace.Trace(BUNDLED)
        instance = kvplace.Instance(trace, **INSTANCE)

        class Interrupting:
            def start(self, what, total, unit):
                os.kill(os.getpid(), signal.SIGINT)

            def update(self, done):
                pass

            def finish(self):
                pass

        with self.assertRaises(KeyboardInterrupt):
            kvplace.bound(trace, instance, progress=Interrupting())

    def test_real_numbers(self):
        trace = kvplace.Trace(BUNDLED)
        proven = kvplace.bound(trace, kvplace.Instance(trace, **INSTANCE))
        self.assertEqual(proven.bound_s, self.json("bound", BUNDLED, *FLAGS, "-o", "b.cert")["bound_s"])


if __name__ == "__main__":
    unittest.main()
