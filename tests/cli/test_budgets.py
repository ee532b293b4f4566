"""budgets: its JSON, its files read back by --layer-budgets, held-out traces, and what it refuses."""

from __future__ import annotations

import json
import unittest

import cli

LAYERS, STEPS, PROMPT = 3, 60, 40
FLAGS = ("--block-bytes", 4000, "--weight-bytes-per-step", 0)


def uneven_rows(seed: int) -> cli.Rows:
    """Layer 0 needs little room, layer 2 much."""
    rows = cli.random_rows(seed, LAYERS, STEPS, PROMPT)
    for t, row in enumerate(rows):
        row[0] = [0, 1, PROMPT + t]
    return rows


class Budgets(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        for i in (1, 2, 3):
            self.make_trace(f"{i}.kvt", uneven_rows(i), PROMPT)

    def far_reads(self, trace: str, *flags: object) -> dict:
        return self.results(trace, *FLAGS, "--policy", "lru", *flags)["lru"]

    def test_files_are_read_back_and_give_what_was_promised(self) -> None:
        total = ("--near-capacity", "180kB")
        for name in ("b.json", "b.toml"):
            found = self.json("budgets", "1.kvt", *FLAGS, "--total", "180kB", "-o", name)
            self.assertEqual(sum(found["layer_budgets"]), 45)
            self.assertLess(found["layer_budgets"][0], 15)
            check = found["checks"][0]
            with_budgets = self.far_reads("1.kvt", *total, "--layer-budgets", name)
            self.assertEqual(with_budgets["far_reads"], check["found"]["far_reads"])
            self.assertEqual(with_budgets["total_s"], check["found"]["total_s"])
            equal = self.far_reads("1.kvt", *total)
            self.assertEqual(equal["far_reads"], check["equal"]["far_reads"])
            self.assertLess(with_budgets["far_reads"], equal["far_reads"])
            shown = self.json("compare", "1.kvt", *FLAGS, *total, "--layer-budgets", name, "--policy", "lru")
            self.assertEqual(shown["instance"]["options"]["layer_shares"], found["layer_budgets"])
        self.assertEqual(json.loads(self.read("b.json"))["layer_budgets"], found["layer_budgets"])

    def test_show_config_keeps_them(self) -> None:
        self.ok("budgets", "1.kvt", *FLAGS, "--near-blocks-per-layer", 15, "-o", "b.toml")
        flags = (*FLAGS, "--near-blocks-per-layer", 15, "--layer-budgets", "b.toml")
        self.write("config.toml", self.ok("show-config", "1.kvt", *flags, "--policy", "lru"))
        again = self.json("compare", "--config", "config.toml")["results"]
        self.assertEqual(again, [self.far_reads("1.kvt", *flags[len(FLAGS):])])

    def test_several_traces_leave_one_out(self) -> None:
        found = self.json("budgets", "1.kvt", "2.kvt", *FLAGS, "--total", "180kB", "--held-out", "3.kvt")
        self.assertEqual([c["held_out"] for c in found["checks"]], [False, False, True])
        self.assertEqual(len(found["from_each"]), 2)
        for i, check in enumerate(found["checks"][:2]):
            self.assertEqual(check["own"], check["from_each"][i])
            # Of two traces, all but one is the other.
            self.assertEqual(check["others"], check["from_each"][1 - i])
        self.assertIsNone(found["checks"][2]["own"])
        for layer in range(LAYERS):
            of_layer = [blocks[layer] for blocks in found["from_each"]]
            self.assertAlmostEqual(found["mean_blocks"][layer], sum(of_layer) / 2)
            self.assertAlmostEqual(found["deviation_blocks"][layer], abs(of_layer[0] - of_layer[1]) / 2)
        self.assertEqual(len(found["manifest"]["inputs"]), 3)
        self.assertIsNone(found["engine_settings"])

    def test_settings_are_of_equal_budgets(self) -> None:
        self.ok("generate", "dsa-32k", "--layers", 2, "--steps", 6, "--prompt-tokens", 4096, "-o", "dsa.kvt")
        found = self.json("budgets", "dsa.kvt", "--model", "deepseek-v3.2", "--near-blocks-per-layer", 3000)
        settings = found["engine_settings"]
        self.assertEqual((settings["top_k"], settings["device_buffer_size"]), (2048, 3000))
        self.assertEqual(settings["host_to_device_ratio"], -(-(4096 + 6) // 3000))
        self.assertIn("equal budgets of the same total", settings["assumes"][0])

    def test_threads_change_nothing(self) -> None:
        for policy in ("lru", "clock"):
            one, two = (self.ok("budgets", "1.kvt", "2.kvt", *FLAGS, "--near-blocks-per-layer", 12, "--policy", policy,
                                "--threads", threads, "--json") for threads in (1, 2))
            self.assertEqual(one, two)

    def test_least_blocks(self) -> None:
        found = self.json("budgets", "1.kvt", *FLAGS, "--total", "180kB", "--least-blocks", 10)
        self.assertGreaterEqual(min(found["layer_budgets"]), 10)
        self.assertEqual(sum(found["layer_budgets"]), 45)

    def test_bad_input(self) -> None:
        def refused(fragments: tuple, *arguments: object) -> None:
            before = self.names()
            self.refused(self.run_cli("budgets", *arguments), cli.BAD_INPUT, *fragments)
            self.assertEqual(self.names(), before)

        total = (*FLAGS, "--total", "100kB")
        refused(("no buffer per layer", "lru"), "1.kvt", *total, "--policy", "lru-global")
        refused(("nearest", "lru"), "1.kvt", *total, "--policy", "lrv")
        refused(("missing.kvt",), "missing.kvt", *total)
        refused(("missing.kvt",), "1.kvt", *total, "--held-out", "missing.kvt")
        refused((".json or .toml",), "1.kvt", *total, "-o", "b.csv")
        refused(("only one",), "1.kvt", *total, "--near-blocks-per-layer", 3)
        refused(("--total",), "1.kvt", *FLAGS, "--total", "many")
        refused(("holds no block",), "1.kvt", *FLAGS, "--total", "100B")
        self.make_trace("4.kvt", cli.random_rows(4, 2, 20, PROMPT), PROMPT)
        refused(("4.kvt", "2 layers"), "1.kvt", "4.kvt", *total)
        refused(("near capacity",), "1.kvt", self.make_trace("5.kvt", cli.random_rows(4, 3, 20, PROMPT), PROMPT), *FLAGS,
                "--near-fraction", 0.2)

    def test_bad_budget_files(self) -> None:
        def refused(text: str, *fragments: str, name: str = "b.json") -> None:
            self.write(name, text)
            ran = self.run_cli("compare", "1.kvt", *FLAGS, "--near-blocks-per-layer", 5, "--policy", "lru",
                               "--layer-budgets", name)
            self.refused(ran, cli.BAD_INPUT, *fragments)

        refused('{"layer_budgets": [1, 2]}', "3 layers", "2 layer budgets")
        refused('{"layer_budgets": [1, 2, -3]}', "b.json", "at least 0")
        refused('{"layer_budgets": [1, 2, "x"]}', "b.json", "not a number")
        refused('{"layer_budgets": [0, 0, 0]}', "b.json", "more than 0")
        refused('{"budgets": [1, 2, 3]}', "b.json", "layer_budgets")
        refused('[1, 2', "b.json", "JSON")
        refused("layer_budgets = [1, inf, 3]", "b.toml", name="b.toml")
        refused("layer_budgets = 3", "b.toml", "no list", name="b.toml")
        refused("1,2,3", ".json or .toml", name="b.txt")
        ran = self.run_cli("compare", "1.kvt", *FLAGS, "--layer-budgets", "missing.json")
        self.refused(ran, cli.BAD_INPUT, "missing.json")
        ran = self.run_cli("compare", "1.kvt", *FLAGS, "--set", "options.layer_shares=1,2")
        self.refused(ran, cli.BAD_INPUT, "2 layer budgets")


if __name__ == "__main__":
    unittest.main()
