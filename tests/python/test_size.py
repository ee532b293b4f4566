"""Sizes and budgets give what the command gives; keywords are its flags."""

import json
import os
import unittest

import kvplace
from python_test import CliTest, random_rows

SMALL = {"block_bytes": "4KiB", "weight_bytes_per_step": 0, "hardware.far.link_read": "60GB/s"}
FLAGS = ("--block-bytes", "4KiB", "--weight-bytes-per-step", 0, "--set", "hardware.far.link_read=60GB/s")


def comparable(values):
    """The command runs in the folder of its files, the package elsewhere."""
    for entry in [*values["manifest"]["inputs"], *values.get("checks", [])]:
        entry["file"] = os.path.basename(entry["file"])
    return values


class Sizes(CliTest):
    def setUp(self):
        super().setUp()
        for i in (1, 2):
            self.make_trace(f"{i}.kvt", random_rows(i, 3, 40, 40), 40)
        self.traces = [kvplace.Trace(self.path(f"{i}.kvt")) for i in (1, 2)]
        self.instances = [kvplace.Instance(trace, near_blocks_per_layer=12, **SMALL) for trace in self.traces]

    def test_size_as_the_command_says(self):
        found = kvplace.size(self.traces[0], self.instances[0], "80%", crossover=True)
        flags = ("1.kvt", *FLAGS, "--near-blocks-per-layer", 12, "--target", "80%", "--crossover")
        self.assertEqual(comparable(found.to_dict()), comparable(self.json("size", *flags)))
        self.assertEqual(repr(found) + "\n", self.ok("size", *flags))
        answer = found["lru"]
        self.assertEqual(answer.answer.near_capacity_bytes, found.to_dict()["answers"][0]["answer"]["near_capacity_bytes"])
        self.assertGreaterEqual(answer.answer.tokens_per_s, 0.8 * found.all_near_tokens_per_s)
        self.assertLess(answer.neighbour.tokens_per_s, 0.8 * found.all_near_tokens_per_s)
        self.assertEqual(len(answer.brackets), len(found.to_dict()["answers"][0]["brackets"]))
        self.assertTrue(found.bound.certified)
        self.assertIsNone(found.engine_settings)
        self.assertIn("HiSparse serves", found.no_engine_settings)
        self.assertEqual((found.status, found.range["most_because"], answer.ended_by),
                         ("complete", "everything-near", "target"))
        with self.assertRaises(KeyError):
            found["belady"]

    def test_cost(self):
        found = kvplace.size(self.traces[0], self.instances[0], "cost=20", policies="lru", price_near=1000, price_link=1)
        self.assertEqual(comparable(found.to_dict()), comparable(self.json(
            "size", "1.kvt", *FLAGS, "--near-blocks-per-layer", 12, "--target", "cost=20", "--policy", "lru",
            "--price-near", 1000, "--price-link", 1)))

    def test_budgets_as_the_command_says(self):
        found = kvplace.budgets(self.instances[0], held_out=self.instances[1], out=self.path("a.json"))
        flags = ("1.kvt", *FLAGS, "--near-blocks-per-layer", 12, "--held-out", "2.kvt")
        self.assertEqual(comparable(found.to_dict()), comparable(self.json("budgets", *flags, "-o", "b.json")))
        self.assertEqual(json.loads(self.read("a.json"))["layer_budgets"], found.blocks)
        self.assertEqual(repr(found) + "\n", self.ok("budgets", *flags))
        self.assertEqual([check.held_out for check in found.checks], [False, True])
        self.assertLessEqual(found.checks[0].found.far_reads, found.checks[0].equal.far_reads)
        for given in ({"layer_shares": found.blocks}, {"layer_budgets": self.path("a.json")}):
            instance = kvplace.Instance(self.traces[0], near_blocks_per_layer=12, **SMALL, **given)
            self.assertEqual(instance.layer_capacity_bytes_per_request, [4096 * blocks for blocks in found.blocks])
            self.assertEqual(kvplace.compare(self.traces[0], instance, "lru")["lru"].far_reads,
                             found.checks[0].found.far_reads)
        both = kvplace.budgets(self.instances, "clock", least_blocks=2)
        self.assertEqual(both.policy, "clock")
        self.assertGreaterEqual(min(both.blocks), 2)
        self.assertEqual(both.checks[0].others, both.checks[0].from_each[1])

    def test_bad_input(self):
        with self.assertRaisesRegex(kvplace.BadInput, "not like 120tokens/s"):
            kvplace.size(self.traces[0], self.instances[0], "fast")
        with self.assertRaisesRegex(kvplace.BadInput, "no buffer per layer"):
            kvplace.budgets(self.instances[0], "lru-global")
        with self.assertRaisesRegex(kvplace.BadInput, "another trace"):
            other = kvplace.Instance(kvplace.Trace(self.path(self.make_trace("3.kvt", random_rows(3, 2, 9, 9), 9))), **SMALL)
            kvplace.size(self.traces[0], other, "80%")
        with self.assertRaisesRegex(kvplace.BadInput, "3 layers, but 2"):
            kvplace.Instance(self.traces[0], layer_shares=[1, 2], **SMALL)
        with self.assertRaisesRegex(kvplace.BadInput, "not both"):
            kvplace.Instance(self.traces[0], layer_shares=[1, 2, 3], layer_budgets="b.json", **SMALL)
        with self.assertRaisesRegex(kvplace.BadInput, "is the input"):
            kvplace.budgets(self.instances[0], out=self.path("1.kvt"))

    def test_interrupt(self):
        stop = kvplace.Interrupt()
        stop.request()
        with self.assertRaises(kvplace.Interrupted):
            kvplace.size(self.traces[0], self.instances[0], "80%", interrupt=stop)
        with self.assertRaises(kvplace.Interrupted):
            kvplace.budgets(self.instances, out=self.path("c.json"), interrupt=stop)
        self.assertNotIn("c.json", self.names())


if __name__ == "__main__":
    unittest.main()
