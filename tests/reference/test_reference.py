"""Tests of the reference model itself: worked numbers, brute force and invariants."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import kvplace_reference as ref  # noqa: E402

PAPER = ref.Machine(near_bandwidth=4900e9, far_bandwidth=500e9, link_read=450e9, link_write=450e9)


def worked_example() -> ref.Trace:
    """Three decode steps of one layer, prompt blocks 0 1 2, one token per block."""
    return ref.make_trace([[[0, 1, 3]], [[1, 2, 4]], [[0, 1, 5]]], prompt_tokens=3, block_tokens=1)


def random_trace(rng: random.Random, layers: int, steps: int, prompt_tokens: int, block_tokens: int = 1) -> ref.Trace:
    """Random reads; the block being written is read most of the time."""
    rows = []
    for t in range(steps):
        current = (prompt_tokens + t) // block_tokens
        row = []
        for _ in range(layers):
            ids = {i for i in range(current) if rng.random() < 0.4}
            row.append(ids | ({current} if rng.random() < 0.8 else set()))
        rows.append(row)
    return ref.make_trace(rows, prompt_tokens, block_tokens)


def fewest_misses(trace: ref.Trace, start: list[ref.Block], places: int) -> int:
    """Least far reads over all residencies; a block may enter in a step that reads it or appends to it."""
    best = {frozenset(start): 0}
    for layers in trace.steps:
        for l, (reads, appended) in enumerate(layers):
            following: dict[frozenset, int] = {}
            for near, misses in best.items():
                misses += sum((l, i) not in near and i not in appended for i in reads)
                candidates = near | {(l, i) for i in reads} | {(l, i) for i in appended}
                for size in range(min(places, len(candidates)) + 1):
                    for kept in map(frozenset, itertools.combinations(sorted(candidates), size)):
                        following[kept] = min(misses, following.get(kept, misses))
            best = following
    return min(best.values())


class WorkedExample(unittest.TestCase):
    """The worked example of the formulation."""

    setting = ref.Setting(block_bytes=10**6, capacity=3e6, weight_bytes_per_step=10e6, start="empty")

    def test_lru(self) -> None:
        r = ref.simulate(worked_example(), self.setting, PAPER, "lru")
        self.assertEqual((r["reads"], r["near_reads"], r["far_reads"]), (9, 5, 4))
        self.assertEqual(r["far_reads_by_step"], [[2], [1], [1]])
        self.assertEqual((r["promotions"], r["evictions"], r["demotions"]), (4, 4, 0))
        self.assertAlmostEqual(r["total_s"], 14e-6, delta=1e-18)
        self.assertEqual(r["peak_near_blocks"], 3)

    def test_belady(self) -> None:
        r = ref.simulate(worked_example(), self.setting, PAPER, "belady")
        self.assertEqual((r["reads"], r["far_reads"], r["promotions"], r["evictions"]), (9, 3, 2, 0))
        self.assertEqual(r["far_reads_by_step"], [[2], [1], [0]])
        self.assertAlmostEqual(r["total_s"], 6e-6 + 4e-6 + 14e6 / 4900e9, delta=1e-18)
        self.assertEqual(f"{r['total_s'] * 1e6:.3f}", "12.857")

    def test_bounds_by_hand(self) -> None:
        trace = worked_example()
        # All near: 10 + 3 + 1 MB near against 1 MB written far.
        self.assertAlmostEqual(ref.all_near_s(trace, self.setting, PAPER), 3 * 14e6 / 4900e9, delta=1e-15)
        # Split: (14 - x) / 4900 = (1 + x) / 500 where x = 2.1 / 5.4 MB is read from far.
        x = (14 * 500 - 4900) / 5400
        self.assertAlmostEqual(ref.perfect_split_s(trace, self.setting, PAPER), 3 * (1 + x) * 1e6 / 500e9, delta=1e-15)


class Rules(unittest.TestCase):
    """Single rules on numbers small enough to do by hand."""

    def test_step_time(self) -> None:
        machine = ref.Machine(10.0, 5.0, 4.0, 2.0, interference=0.25)
        loads = {"near.mem": 30.0, "far.link_read": 8.0, "far.link_write": 2.0, "far.mem": 10.0}
        self.assertEqual(ref.step_time(loads, machine, "full"), 3.0 + 0.25 * 2.0)
        self.assertEqual(ref.step_time(loads, machine, "none"), 3.0 + 2.0)

    def test_exclusive(self) -> None:
        # Two places; 0 and 1 of the prompt are read, and each newborn block 2, 3.
        trace = ref.make_trace([[[0, 1, 2]], [[0, 1, 3]]], prompt_tokens=2, block_tokens=1)
        setting = ref.Setting(block_bytes=100, capacity=200, mode="exclusive", start="recent")
        unit = ref.Machine(1.0, 1.0, 1.0, 1.0)
        r = ref.simulate(trace, setting, unit, "lru")
        # Step 0: 0, 1 hit; 2 enters, 0 demoted. Step 1: 1 hit, 0 read far and enters (2 out), 3 enters (1 out).
        self.assertEqual((r["far_reads"], r["promotions"], r["demotions"]), (1, 1, 3))
        self.assertEqual(r["channel_bytes"], {"near.mem": (300 + 100 + 100) + (200 + 100 + 100 + 200),
                                              "far.link_read": 100, "far.link_write": 100 + 200,
                                              "far.mem": 100 + (100 + 200)})
        r = ref.simulate(trace, setting, unit, "static")
        self.assertEqual((r["far_reads"], r["promotions"], r["demotions"]), (0, 0, 0))
        self.assertEqual(r["channel_bytes"], {"near.mem": 600, "far.link_read": 0,
                                              "far.link_write": 200, "far.mem": 200})

    def test_active_promotion_of_an_appended_block(self) -> None:
        # Block 0 holds tokens 0 to 3 and is far; token 1 is appended: a near read by rule, then an active promotion.
        trace = ref.make_trace([[[0]], [[0]]], prompt_tokens=1, block_tokens=4)
        unit = ref.Machine(1.0, 1.0, 1.0, 1.0)
        for mode, link_write in (("inclusive", 25 + 25), ("exclusive", 25)):
            setting = ref.Setting(block_bytes=100, capacity=100, mode=mode, start="empty")
            r = ref.simulate(trace, setting, unit, "lru")
            self.assertEqual((r["far_reads"], r["promotions"]), (0, 1))
            self.assertEqual(r["channel_bytes"]["far.link_read"], 100)
            self.assertEqual(r["channel_bytes"]["far.link_write"], link_write)
            self.assertEqual(r["channel_bytes"]["near.mem"], 100 + 100 + (25 if mode == "inclusive" else 0) + 100 + 25)

    def test_batch_scales_loads_and_shares_capacity(self) -> None:
        rng = random.Random(5)
        trace = random_trace(rng, layers=2, steps=20, prompt_tokens=8)
        one = ref.simulate(trace, ref.Setting(64, 64 * 2 * 4), PAPER, "lru")
        four = ref.simulate(trace, ref.Setting(64, 4 * 64 * 2 * 4, batch=4), PAPER, "lru")
        self.assertEqual(one["far_reads_by_step"], four["far_reads_by_step"])
        self.assertAlmostEqual(four["total_s"], 4 * one["total_s"], delta=1e-12 * one["total_s"])

    def test_start_recent(self) -> None:
        trace = ref.make_trace([[[0], [0]]], prompt_tokens=10, block_tokens=4)
        setting = ref.Setting(block_bytes=8, capacity=8 * 5)
        self.assertEqual(ref.start_blocks(trace, setting), [(0, 1), (1, 1), (0, 2), (1, 2)])


class Background(unittest.TestCase):
    """Copies in the link's idle time."""

    def test_worked_example(self) -> None:
        """The example of "Migration rules" by hand, where 0 and 1 are issued in the first step."""
        loads = {"near.mem": 16.4e6, "far.link_read": 0, "far.link_write": 1e6, "far.mem": 1e6}
        self.assertEqual(ref.copied_bytes(loads, PAPER, "full", 2_000_000), 750_000)
        self.assertAlmostEqual(ref.background_time(loads, PAPER, "full", 750_000), 3.5e-6, delta=1e-18)
        loads = {"near.mem": 17.4e6, "far.link_read": 1e6, "far.link_write": 1e6, "far.mem": 2e6}
        self.assertEqual(ref.copied_bytes(loads, PAPER, "full", 500_000), 0)

    def test_most_bytes(self) -> None:
        """Against every number of bytes, on machines where near memory is slower than the link too."""
        rng = random.Random(3)
        rates = (1.0, 2.0, 3.0, 5.0, 8.0)
        for _ in range(2000):
            machine = ref.Machine(*(rng.choice(rates) for _ in range(4)))
            loads, queued = {channel: rng.randint(0, 12) for channel in ref.CHANNELS}, rng.randint(0, 25)
            overlap = rng.choice(("full", "none"))
            alone = ref.step_time(loads, machine, "full")

            def fits(x: int) -> bool:
                if overlap == "none":
                    return x / min(machine.link_read, machine.far_bandwidth) <= (
                        (loads["near.mem"] + x) / machine.near_bandwidth + 1e-9)
                longest = max(alone, (loads["near.mem"] + x) / machine.near_bandwidth)
                return max((loads["far.link_read"] + x) / machine.link_read,
                           (loads["far.mem"] + x) / machine.far_bandwidth) <= longest + 1e-9

            self.assertEqual(ref.copied_bytes(loads, machine, overlap, queued),
                             max(x for x in range(queued + 1) if fits(x)))

    def test_a_block_in_flight_is_read_from_far(self) -> None:
        # Layer 0 misses 0, so layer-prefetch issues that of layer 1; far.mem has nothing to spare, and 1 reads it far.
        trace = ref.make_trace([[[0], [0]]], prompt_tokens=2, block_tokens=1)
        loads = {}
        for copies in ("step", "background"):
            setting = ref.Setting(block_bytes=80, capacity=640, start="empty", copies=copies)
            r = ref.simulate(trace, setting, ref.Machine(1000.0, 1.0, 1.0, 1.0), "layer-prefetch")
            self.assertEqual(r["promotions"], 2)
            loads[copies] = r["far_reads"], r["channel_bytes"]["far.link_read"]
        self.assertEqual(loads, {"step": (1, 80 + 80), "background": (2, 80 + 80)})


class Optimality(unittest.TestCase):
    """Belady against every possible residency."""

    def check(self, policy: str, layers: int, rounds: int, steps: int) -> None:
        rng = random.Random(layers)
        for _ in range(rounds):
            trace = random_trace(rng, layers, steps, prompt_tokens=rng.randint(0, 4))
            places = rng.randint(1, 3)
            setting = ref.Setting(1, places, start=rng.choice(("recent", "empty")))
            fewest = fewest_misses(trace, ref.start_blocks(trace, setting), places)
            self.assertEqual(ref.simulate(trace, setting, PAPER, policy)["far_reads"], fewest)

    def test_one_layer(self) -> None:
        self.check("belady", layers=1, rounds=100, steps=8)

    def test_two_layers(self) -> None:
        self.check("belady-global", layers=2, rounds=40, steps=5)


class Invariants(unittest.TestCase):
    """What must hold whatever the policy."""

    def test_all(self) -> None:
        rng = random.Random(1)
        for _ in range(30):
            layers, block_tokens = rng.randint(1, 3), rng.choice((1, 3))
            trace = random_trace(rng, layers, 25, prompt_tokens=rng.randint(0, 20), block_tokens=block_tokens)
            machine = ref.Machine(4.0, 2.0, 1.5, 1.0, interference=rng.choice((0.0, 0.2)))
            setting = ref.Setting(6, 6 * rng.randint(0, 12), rng.choice((0.0, 20.0)),
                                  rng.choice(("inclusive", "exclusive")), rng.choice(("layer", "token")),
                                  rng.choice(("full", "none")), start=rng.choice(("recent", "empty")),
                                  copies=rng.choice(("step", "background")))
            split, near = ref.perfect_split_s(trace, setting, machine), ref.all_near_s(trace, setting, machine)
            self.assertLessEqual(split, near * (1 + 1e-9))
            far = {}
            for policy in ref.POLICIES:
                r = ref.simulate(trace, setting, machine, policy)
                far[policy] = r["far_reads"]
                self.assertEqual(r["near_reads"] + r["far_reads"], r["reads"])
                self.assertEqual(r["reads"], sum(len(reads) for step in trace.steps for reads, _ in step))
                self.assertEqual(sum(r["far_reads_by_layer"]), r["far_reads"])
                self.assertEqual(sum(map(sum, r["far_reads_by_step"])), r["far_reads"])
                self.assertLessEqual(r["peak_near_blocks"] * 6, setting.capacity)
                self.assertLessEqual(split, r["total_s"] * (1 + 1e-9))
                most = r["evictions"] if setting.mode == "exclusive" else 0
                self.assertLessEqual(r["demotions"], most)  # not of blocks in flight
                self.assertTrue(r["demotions"] == most or setting.copies == "background")
                if setting.capacity == 0:
                    self.assertEqual((r["promotions"], r["evictions"]), (0, 0))
            if block_tokens == 1 and setting.capacity % (6 * layers) == 0:
                self.assertLessEqual(far["belady"], far["lru"])
                self.assertLessEqual(far["belady"], far["fifo"])
                self.assertLessEqual(far["belady-global"], far["belady"])
                self.assertLessEqual(far["belady-global"], far["lru-global"])

    def test_balanced(self) -> None:
        """Where near is as slow as can be, nothing is promoted; where it is free, everything is."""
        trace = random_trace(random.Random(2), 2, 30, prompt_tokens=10)
        setting = ref.Setting(6, 60, start="empty")
        slow = ref.simulate(trace, setting, ref.Machine(1.0, 1e9, 1e9, 1e9), "belady-balanced")
        self.assertEqual(slow["promotions"], 0)
        fast = ref.Machine(1e9, 1.0, 1.0, 1.0)
        free, greedy = (ref.simulate(trace, setting, fast, p) for p in ("belady-balanced", "belady-global"))
        self.assertEqual((free["far_reads"], free["promotions"]), (greedy["far_reads"], greedy["promotions"]))


class Files(unittest.TestCase):
    """The loaders."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def path(self, name: str, content: bytes) -> str:
        """Writes a file, compressed as its name says."""
        path = os.path.join(self.directory, name)
        if name.endswith(".zst"):
            content = subprocess.run(["zstd", "-qc"], input=content, check=True, capture_output=True).stdout
        with open(path, "wb") as file:
            file.write(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    def test_topk_npy(self) -> None:
        plain = os.path.join(self.directory, "a.npy")
        np.save(plain, np.array([[[2, 0, -1]], [[1, 3, 2]]], dtype=np.int32))
        with open(plain, "rb") as file:
            content = file.read()
        for name in ("b.npy", "b.npy.gz", "b.npy.zst"):
            trace = ref.load_topk_npy(self.path(name, content), prompt_tokens=5, block_tokens=2)
            self.assertEqual(trace.steps, [[([0, 2], [2])], [([1, 2, 3], [3])]])
            self.assertEqual((trace.layers, trace.prompt_blocks), (1, 3))

    def test_fang_csv(self) -> None:
        content = b'n,l,read_kv\n0,0,"[1, 0]"\n0,1,"[]"\n1,0,"[2]"\n1,1,"[0, 2]"\n'
        trace = ref.load_fang_csv(self.path("a.csv.zst", content), prompt_tokens=7, block_tokens=4)
        self.assertEqual(trace.steps, [[([0, 1], [1]), ([], [1])], [([2], [2]), ([0, 2], [2])]])
        self.assertEqual(trace.layers, 2)

    def test_oracle_general(self) -> None:
        content = struct.pack("<IQIq", 1, 2**40, 64, 3) + struct.pack("<IQIq", 2, 7, 64, -1)
        records = list(ref.load_oracle_general(self.path("a.bin", content)))
        self.assertEqual(records, [(1, 2**40, 64, 3), (2, 7, 64, -1)])

    def test_command_line(self) -> None:
        content = b'n,l,read_kv\n0,0,"[0, 1, 3]"\n1,0,"[1, 2, 4]"\n2,0,"[0, 1, 5]"\n'
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kvplace_reference.py")
        command = [sys.executable, script, self.path("a.csv", content), "--format", "fang-csv", "--prompt-tokens", "3",
                   "--block-tokens", "1", "--block-bytes", "1000000",
                   "--near-blocks-per-layer", "3", "--policy", "lru", "belady",
                   "--near-bw", "4900e9", "--far-bw", "500e9", "--link-read", "450e9", "--link-write", "450e9",
                   "--weight-bytes-per-step", "10e6", "--start", "empty", "--json"]
        output = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        self.assertEqual([r["far_reads"] for r in output["results"]], [4, 3])
        self.assertAlmostEqual(output["bounds"]["all_near_s"], 42e6 / 4900e9, delta=1e-15)


if __name__ == "__main__":
    unittest.main()
