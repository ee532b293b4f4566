"""size: its JSON against comparisons of the command itself, its targets, and what it refuses."""

from __future__ import annotations

import unittest

import cli

LAYERS, STEPS, PROMPT = 3, 50, 40
FLAGS = ("--block-bytes", "4kB", "--weight-bytes-per-step", 0, "--set", "hardware.far.link_read=60GB/s", "--set",
         "hardware.far.link_write=60GB/s")
PROBE_KEYS = {"value", "near_capacity_bytes", "link_bytes_per_s", "batch", "total_s", "tokens_per_s", "reached"}


class Size(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.trace = self.make_trace("t.kvt", cli.random_rows(5, LAYERS, STEPS, PROMPT), PROMPT)

    def size(self, *flags: object) -> dict:
        return self.json("size", self.trace, *FLAGS, *flags)

    def test_keys_and_brackets(self) -> None:
        found = self.size("--target", "80%", "--near-blocks-per-layer", 10)
        self.assertLessEqual({"manifest", "instance", "target", "find", "all_near_tokens_per_s", "answers",
                              "engine_settings"}, set(found))
        self.assertEqual(found["target"], "80% of all-near")
        self.assertEqual([a["policy"] for a in found["answers"]][:2], ["lru", "lru-global"])
        self.assertEqual([a["certified"] for a in found["answers"]], [False] * (len(found["answers"]) - 1) + [True])
        for answer in found["answers"]:
            with self.subTest(policy=answer["policy"]):
                values = [probe["value"] for probe in answer["brackets"]]
                self.assertEqual(values, sorted(values))
                self.assertEqual(set(answer["answer"]), PROBE_KEYS)
                self.assertIn(answer["answer"], answer["brackets"])
                self.assertIn(answer["neighbour"], answer["brackets"])
                self.assertTrue(answer["answer"]["reached"])
                self.assertFalse(answer["neighbour"]["reached"])
                self.assertLess(answer["neighbour"]["value"], answer["answer"]["value"])
                for key, value in answer["worth"].items():
                    self.assertEqual(value is None, key == "capacity_price_s_per_gib" and not answer["certified"], key)
        bound = found["answers"][-1]["answer"]
        for answer in found["answers"][:-1]:
            self.assertLessEqual(bound["value"], answer["answer"]["value"])

    def test_answers_are_what_compare_says(self) -> None:
        reference = self.json("compare", self.trace, *FLAGS, "--near-blocks-per-layer", 10, "--policy", "lru")
        all_near = STEPS / reference["bounds"]["all_near_s"]
        found = self.size("--target", "80%", "--find", "near-capacity", "--policy", "lru-global")
        self.assertAlmostEqual(found["all_near_tokens_per_s"], all_near)
        answer = found["answers"][0]
        for probe in (answer["answer"], answer["neighbour"]):
            compared = self.results(self.trace, *FLAGS, "--near-capacity", int(probe["value"]), "--policy",
                                    "lru-global")["lru-global"]
            self.assertEqual(compared["total_s"], probe["total_s"])
            self.assertEqual(compared["tokens_per_s"], probe["tokens_per_s"])
            self.assertEqual(probe["reached"], probe["tokens_per_s"] >= 0.8 * all_near)
        worth = answer["worth"]
        one_more = self.results(self.trace, *FLAGS, "--near-capacity", int(answer["answer"]["value"]), "--policy",
                                "lru-global", "--set", "hardware.far.link_read=61GB/s", "--set",
                                "hardware.far.link_write=61GB/s")["lru-global"]
        self.assertAlmostEqual(worth["gb_s_link_tokens_per_s"] / (one_more["tokens_per_s"] -
                                                                  answer["answer"]["tokens_per_s"]), 1, places=6)
        everything = self.results(self.trace, *FLAGS, "--near-fraction", 1, "--policy", "lru-global")["lru-global"]
        self.assertAlmostEqual(worth["gib_near_tokens_per_s"] / (everything["tokens_per_s"] -
                                                                 answer["answer"]["tokens_per_s"]), 1, places=9)

    def test_certified_side_is_what_bound_says(self) -> None:
        found = self.size("--target", "80%", "--policy", "lru")["answers"][-1]
        for probe in (found["answer"], found["neighbour"]):
            proven = self.json("bound", self.trace, *FLAGS, "--near-capacity", int(probe["value"]), "--start", "free",
                               "-o", "t.cert")
            self.assertEqual(proven["bound_s"], probe["total_s"])

    def test_every_find(self) -> None:
        near = ("--near-blocks-per-layer", 30)
        link = self.size("--target", "60%", "--find", "link", *near)["answers"][0]
        self.assertEqual(link["answer"]["value"], link["answer"]["link_bytes_per_s"])
        self.assertLess(link["answer"]["value"] / link["neighbour"]["value"], 1.0011)
        buffer = self.size("--target", "80%", "--find", "buffer")
        self.assertEqual([a["policy"] for a in buffer["answers"]], ["lru", "kvplace-budgets", "(certified)"])
        self.assertEqual(buffer["answers"][0]["answer"]["value"] - buffer["answers"][0]["neighbour"]["value"], 1)
        settings = buffer["engine_settings"]
        self.assertEqual(settings["device_buffer_size"],
                         max(settings["top_k"], buffer["answers"][0]["answer"]["value"]))
        # Requests share the weights: two are nearly twice as fast as one.
        heavy = ("size", self.trace, "--block-bytes", "4kB", "--weight-bytes-per-step", "1GB", "--find", "batch",
                 "--near-capacity", "1GB", "--policy", "lru")
        rate = self.json(*heavy, "--target", "1%")["all_near_tokens_per_s"]
        least = self.json(*heavy, "--target", f"{1.9 * rate}tokens/s")["answers"][0]
        self.assertEqual((least["answer"]["batch"], least["neighbour"]["batch"]), (2, 1))
        largest = self.size("--target", "80%", "--find", "batch", "--near-capacity", "2MB")["answers"][0]
        self.assertGreater(largest["neighbour"]["value"], largest["answer"]["value"])

    def test_crossover(self) -> None:
        # Two requests fit; their weights are shared, so that more are faster if the link is.
        kv = 4000 * LAYERS * (PROMPT + STEPS)
        found = self.json("size", self.trace, "--block-bytes", "4kB", "--weight-bytes-per-step", "1MB", "--target", "50%",
                          "--near-capacity", 2 * kv + 1000, "--crossover", "--policy", "lru")
        self.assertEqual(found["all_near_batch"], 2)
        answer = found["answers"][0]
        self.assertGreater(answer["crossover"]["tokens_per_s"], found["all_near_batch_tokens_per_s"])
        self.assertGreaterEqual(answer["crossover"]["batch"], 3)
        self.assertIn(answer["crossover"], answer["crossover_brackets"])

    def test_cost(self) -> None:
        prices = ("--price-near", 1000, "--price-link", 1)
        found = self.size("--target", "cost=50", *prices, "--policy", "lru")
        self.assertEqual(found["find"], "near-capacity and link")
        answer, bound = found["answers"]
        cost = answer["answer"]["near_capacity_bytes"] / 2**30 * 1000 + answer["answer"]["link_bytes_per_s"] / 1e9
        self.assertLessEqual(cost, 50 * (1 + 1e-9))
        self.assertLessEqual(answer["answer"]["tokens_per_s"], bound["answer"]["tokens_per_s"])
        self.assertEqual(answer["answer"]["total_s"], min(probe["total_s"] for probe in answer["brackets"]))

    def test_out_of_reach(self) -> None:
        found = self.size("--target", "1000%", "--near-blocks-per-layer", 10, "--find", "link", "--policy", "lru")
        for answer in found["answers"]:
            self.assertIsNone(answer["answer"])
            self.assertIsNone(answer["worth"])
        self.assertIsNone(found["engine_settings"])
        text = self.ok("size", self.trace, *FLAGS, "--target", "1000%", "--find", "link", "--policy", "lru")
        self.assertIn("out of reach", text)
        self.assertIn("no policy reaches the target", text)

    def test_threads_change_nothing(self) -> None:
        one, two = (self.ok("size", self.trace, *FLAGS, "--target", "80%", "--threads", threads, "--json")
                    for threads in (1, 2))
        self.assertEqual(one, two)

    def test_bad_input(self) -> None:
        def refused(fragments: tuple, *arguments: object) -> None:
            self.refused(self.run_cli("size", self.trace, *FLAGS, *arguments), cli.BAD_INPUT, *fragments)

        refused(("--target",))
        for target in ("120", "0%", "-3%", "fast", "cost=0", "tokens/s", "5000%"):
            refused(("target", target), f"--target={target}")
        refused(("near-capacity", "buffer"), "--target", "80%", "--find", "memory")
        refused(("--price-near",), "--target", "cost=10")
        refused(("--find",), "--target", "cost=10", "--price-near", 1, "--price-link", 1, "--find", "link")
        refused(("lru-global", "no buffer per layer"), "--target", "80%", "--find", "buffer", "--policy", "lru-global")
        refused(("best-case",), "--target", "80%", "--policy", "best-case")
        refused(("tolerance",), "--target", "80%", "--tolerance", 2)
        refused(("--start free",), "--target", "80%", "--start", "free", "--policy", "lru")
        refused(("nearest",), "--target", "80%", "--policy", "lrv")


if __name__ == "__main__":
    unittest.main()
