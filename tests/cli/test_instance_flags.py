"""Every flag of INSTANCE is taken by compare and show-config and means what the contract says; configuration files."""

from __future__ import annotations

import json
import unittest

import cli

LAYERS, STEPS, PROMPT, BLOCK = 2, 44, 20, 4000
ROWS = cli.random_rows(11, LAYERS, STEPS, PROMPT)

HARDWARE = """
name = "mine"
interference = 0.0
[near]
capacity = "23GiB"
bandwidth = "4900GB/s"
[far]
capacity = "480GiB"
bandwidth = "500GB/s"
link_read = "55GB/s"
link_write = "450GB/s"
[provenance]
near.bandwidth = "spec: a data sheet"
"""
MODEL = """
name = "my-model"
layers = 32
kv_bytes_per_token_per_layer = "16KiB"
weight_bytes_per_layer_per_step = "400MiB"
[attention]
query_heads = 32
kv_heads = 32
head_dim = 128
dtype = "fp16"
[provenance]
weight_bytes_per_layer_per_step = "paper, section 4"
"""


class InstanceTest(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.trace = self.make_trace("t.kvt", ROWS, PROMPT)
        self.base = [self.trace, "--block-bytes", str(BLOCK)]
        self.tight = [*self.base, "--near-blocks-per-layer", "6"]


class Flags(InstanceTest):
    def answer(self, *arguments: object) -> dict:
        """The results by policy, without what only says how they were asked for."""
        return self.results(*arguments)

    def test_every_flag_is_taken(self) -> None:
        self.write("hw.toml", HARDWARE)
        tried = set()
        for flag, value, shown in (
                ("--hardware", "gb200", 'name = "gb200"'), ("--hardware", "hw.toml", 'name = "mine"'),
                ("--model", "qwen3-8b", 'name = "qwen3-8b"'), ("--engine", "vllm", 'weights_efficiency = 0.893'),
                ("--near-capacity", "160kB", 'near_capacity = "160kB"'),
                ("--near-blocks-per-layer", "7", "near_blocks_per_layer = 7"),
                ("--near-fraction", "0.25", "near_fraction = 0.25"),
                ("--mode", "exclusive", 'mode = "exclusive"'), ("--barrier", "token", 'barrier = "token"'),
                ("--overlap", "none", 'overlap = "none"'), ("--batch", "4", "batch = 4"),
                ("--copies", "background", 'copies = "background"'),
                ("--block-bytes", "8000", 'block_bytes = "8kB"'), ("--start", "free", 'start = "free"'),
                ("--weight-bytes-per-step", "3MB", 'weight_bytes_per_step = "3MB"'), ("--seed", "9", "seed = 9"),
                ("--set", "hardware.far.link_read=55GB/s", 'far.link_read = "55GB/s"')):
            with self.subTest(flag=flag, value=value):
                base = self.base if flag != "--block-bytes" else [self.trace]
                compared = self.json("compare", *base, flag, value, "--policy", "belady")
                self.assertEqual(len(compared["results"]), 1)
                self.assertIn(shown, self.ok("show-config", *base, flag, value, "--policy", "belady"))
                self.assertIn(shown, self.ok("show-config", flag, value))
                tried.add(flag)
        # Those of a model and its deployment.
        served = [self.trace, "--hardware", "8xh200", "--model", "qwen3-30b-a3b", "--near-blocks-per-layer", "6"]
        for flags, shown in ((["--kv-dtype", "fp8"], 'attention.dtype = "fp8"'), (["--gpus", "2"], "gpus = 2"),
                             (["--gpus", "2", "--attention-tp", "1"], "attention_tp = 1"),
                             (["--gpus", "2", "--attention-dp", "2"], "attention_dp = 2"),
                             (["--gpus", "2", "--expert-parallel"], "expert_parallel = true")):
            with self.subTest(flags=flags):
                self.json("compare", *served, *flags, "--policy", "lru")
                self.assertIn(shown, self.ok("show-config", *served, *flags))
                self.assertIn(shown, self.ok("show-config", *served[1:], *flags))
                tried.update(flag for flag in flags if flag.startswith("--"))
        self.write("run.toml", "[options]\nbatch = 5\n")
        self.write("budgets.toml", "layer_budgets = [3, 4]\n")
        self.assertIn("batch = 5", self.ok("show-config", *self.tight, "--config", "run.toml"))
        self.assertIn("layer_shares = [3, 4]", self.ok("show-config", *self.tight, "--layer-budgets", "budgets.toml"))
        listed = {setting["flag"] for setting in json.loads(self.ok("list", "settings", "--json"))} - {""}
        self.assertEqual(tried | {"--config", "--layer-budgets"}, listed)
        self.ok("compare", *self.tight, "--threads", 2)
        self.ok("show-config", *self.tight, "--threads", 2)

    def test_defaults(self) -> None:
        instance = self.json("compare", *self.tight, "--policy", "lru")["instance"]
        self.assertEqual(instance["hardware"]["name"], "fang2025")
        self.assertEqual({k: instance["options"][k] for k in ("mode", "barrier", "overlap", "copies", "batch", "start",
                                                               "seed")},
                         {"mode": "inclusive", "barrier": "layer", "overlap": "full", "copies": "step", "batch": 1,
                          "start": "recent", "seed": 0})
        instance = self.json("compare", *self.base, "--model", "llama-3.1-8b-mha", "--policy", "lru")["instance"]
        self.assertEqual(instance["block_bytes"], BLOCK)  # the flag overrides the model
        weights = 15684104 * 1024
        self.assertEqual(instance["near_capacity_bytes_per_request"], 23 * 2**30 - weights)

    def test_capacity_three_ways(self) -> None:
        blocks = 16
        wanted = self.answer(*self.base, "--near-blocks-per-layer", blocks)
        self.assertEqual(wanted, self.answer(*self.base, "--near-capacity", f"{blocks * LAYERS * BLOCK}B"))
        self.assertEqual(wanted, self.answer(*self.base, "--near-capacity", "128kB"))
        self.assertEqual(wanted, self.answer(*self.base, "--near-fraction", blocks / (PROMPT + STEPS)))
        self.assertNotEqual(wanted, self.answer(*self.base, "--near-blocks-per-layer", blocks + 1))

    def test_batch(self) -> None:
        counts = ("near_reads", "far_reads", "promotions", "evictions", "far_reads_by_layer", "peak_near_blocks")
        one = self.answer(*self.base, "--near-capacity", "48kB")
        two = self.answer(*self.base, "--near-capacity", "96 kB", "--batch", 2)
        for policy in one:
            self.assertEqual([one[policy][k] for k in counts], [two[policy][k] for k in counts], policy)
            if policy != "best-case":  # whose shares of bytes are rounded
                self.assertEqual(two[policy]["near_bytes"], 2 * one[policy]["near_bytes"], policy)
                self.assertAlmostEqual(two[policy]["total_s"], 2 * one[policy]["total_s"],
                                       delta=1e-9 * one[policy]["total_s"])
        # Blocks per layer are of one request, whatever the batch.
        per_layer = self.answer(*self.tight, "--batch", 2)
        self.assertEqual(per_layer["lru"]["far_reads"], one["lru"]["far_reads"])
        # Weights are read once for all requests.
        weights = self.answer(*self.tight, "--batch", 2, "--weight-bytes-per-step", "1MB")
        self.assertEqual(weights["lru"]["near_bytes"], two["lru"]["near_bytes"] + STEPS * LAYERS * 10**6)

    def test_barrier_and_overlap(self) -> None:
        for more in ([], ["--weight-bytes-per-step", "300kB"], ["--mode", "exclusive"]):
            layer = self.answer(*self.tight, *more)
            token = self.answer(*self.tight, *more, "--barrier", "token")
            waits = self.answer(*self.tight, *more, "--overlap", "none")
            for policy, result in layer.items():
                with self.subTest(policy=policy, more=more):
                    self.assertLessEqual(token[policy]["total_s"], result["total_s"] * (1 + 1e-12))
                    self.assertGreaterEqual(waits[policy]["total_s"], result["total_s"])
            self.assertGreater(waits["lru"]["total_s"], layer["lru"]["total_s"])

    def test_start(self) -> None:
        recent, empty = (self.answer(*self.base, "--near-blocks-per-layer", PROMPT, "--start", s) for s in ("recent",
                                                                                                            "empty"))
        self.assertEqual(recent, self.answer(*self.base, "--near-blocks-per-layer", PROMPT))
        # The whole prompt fits: nothing of it is ever far, or all of it.
        grown = sum(i >= PROMPT for row in ROWS for ids in row for i in ids)
        all_reads = sum(len(ids) for row in ROWS for ids in row)
        self.assertGreaterEqual(recent["static"]["near_reads"], all_reads - grown)
        self.assertGreater(empty["static"]["far_reads"], recent["static"]["far_reads"])
        self.assertEqual(empty["static"]["promotions"], 0)
        oracles = ["--policy", "belady", "--policy", "belady-global"]
        for policy, free in self.answer(*self.tight, "--start", "free", *oracles).items():
            for start in ("recent", "empty"):
                given = self.answer(*self.tight, "--start", start, *oracles)[policy]
                self.assertLessEqual(free["far_reads"], given["far_reads"])
        self.assertEqual(set(self.answer(*self.tight, "--start", "free")),
                         {"belady", "belady-global", "belady-balanced"})

    def test_mode(self) -> None:
        inclusive, exclusive = (self.answer(*self.tight, "--mode", mode) for mode in ("inclusive", "exclusive"))
        self.assertGreater(exclusive["lru"]["demotions"], 0)
        self.assertEqual(inclusive["lru"]["demotions"], 0)
        self.assertEqual(inclusive["lru"]["far_reads"], exclusive["lru"]["far_reads"])

    def test_set(self) -> None:
        fast, slow = (self.answer(*self.tight, *more) for more in ([], ["--set", "hardware.far.link_read=55GB/s"]))
        self.assertGreater(slow["lru"]["total_s"], fast["lru"]["total_s"])
        self.assertEqual(slow["lru"]["far_reads"], fast["lru"]["far_reads"])
        # `--set` is the last word, and the later one of two.
        far = self.json("compare", *self.tight, "--set", "options.batch=2", "--set", "options.batch=3", "--batch", 4,
                        "--policy", "lru")["instance"]["options"]["batch"]
        self.assertEqual(far, 3)

    def test_set_of_a_name_keeps_the_rest(self) -> None:
        renamed = self.json("compare", *self.tight, "--set", "hardware.name=mine", "--policy", "lru")
        self.assertEqual(renamed["results"], self.json("compare", *self.tight, "--policy", "lru")["results"])
        self.assertEqual(renamed["instance"]["hardware"]["name"], "mine")

    def test_seed(self) -> None:
        one, again, two = (self.answer(*self.tight, "--policy", "random", "--seed", seed) for seed in (1, 1, 2))
        self.assertEqual(one, again)
        self.assertNotEqual(one, two)


class ConfigFiles(InstanceTest):
    def test_round_trip(self) -> None:
        self.write("hw.toml", HARDWARE)
        for flags in (["--near-blocks-per-layer", "6"],
                      ["--near-fraction", "0.3", "--hardware", "hw.toml", "--mode", "exclusive", "--seed", "5",
                       "--batch", "2",
                       "--policy", "sa-guided:w=7,r=0.35", "--policy", "random", "--policy", "sa:iterations=3"],
                      ["--near-capacity", "123456B", "--hardware", "gh200-96", "--set", "hardware.figures=measured",
                       "--barrier", "token", "--model", "qwen3-8b", "--set", "model.experts.active=3"],
                      ["--set", "hardware.interference=0.125", "--set", "hardware.step_overhead=2s", "--overlap",
                       "none",
                       "--set", "hardware.peak_flops=990TFLOP/s", "--set", "options.new_kv=false",
                       "--set", "options.mirrored_reads=split", "--weight-bytes-per-step", "1000001",
                       "--set", "options.weights_near=0.7", "--near-capacity", "100kB"]):
            with self.subTest(flags=flags):
                config = self.ok("show-config", *self.base, *flags)
                self.write("c.toml", config)
                direct = self.json("compare", *self.base, *flags)
                again = self.json("compare", "--config", "c.toml")
                self.assertEqual(direct, again)
                self.assertEqual(config, self.ok("show-config", "--config", "c.toml", self.trace))

    def test_every_number_can_be_read_again(self) -> None:
        """Very large and very small numbers are written in a form that is a number to the reader too."""
        for assignment in ("hardware.step_overhead=3us", "hardware.step_overhead=100000s",
                           "hardware.interference=0.00001",
                           "hardware.near.bandwidth=100000TB/s", "hardware.far.link_read=0.001B/s",
                           "hardware.peak_flops=1000000PFLOP/s", "options.near_fraction=0.0000001"):
            with self.subTest(assignment=assignment):
                flags = [*(self.base if "near_fraction" in assignment else self.tight), "--policy", "lru", "--set",
                         assignment]
                direct = self.json("compare", *flags)
                self.write("c.toml", self.ok("show-config", *flags))
                self.assertEqual(self.json("compare", "--config", "c.toml"), direct)

    def test_config_without_a_trace_on_the_command_line(self) -> None:
        config = self.ok("show-config", *self.tight, "--policy", "clock")
        self.write("c.toml", config)
        self.assertEqual(config, self.ok("show-config", "--config", "c.toml"))

    def test_flags_override_the_file(self) -> None:
        self.write("c.toml", self.ok("show-config", *self.tight, "--policy", "lru"))
        for flag, value, key in (("--mode", "exclusive", "mode"), ("--barrier", "token", "barrier"),
                                 ("--block-bytes", "8kB", "block_bytes"),
                                 ("--near-blocks-per-layer", 9, "near_blocks_per_layer")):
            options = self.json("compare", "--config", "c.toml", flag, value)["instance"]["options"]
            self.assertEqual(options[key], value)
        results = self.json("compare", "--config", "c.toml", "--policy", "clock")["results"]
        self.assertEqual([r["policy"] for r in results], ["clock"])

    def test_hardware_and_model_flags_override_the_file(self) -> None:
        self.write("c.toml", self.ok("show-config", *self.tight, "--policy", "lru", "--model", "qwen3-8b"))
        found = self.json("compare", "--config", "c.toml", "--hardware", "gb200", "--model", "qwen3-32b")
        wanted = self.json("compare", *self.tight, "--policy", "lru", "--hardware", "gb200", "--model", "qwen3-32b")
        self.assertEqual(found["instance"], wanted["instance"])
        self.assertEqual(found["results"], wanted["results"])

    def test_any_name_of_a_trace(self) -> None:
        """The configuration quotes the trace's name so that it can be read again."""
        for name in ("it's.kvt", 'two "quotes".kvt', "back\\slash.kvt", "with space.kvt", "\u00e9t\u00e9.kvt"):
            with self.subTest(name=name):
                self.write(name, self.read(self.trace))
                self.write("c.toml", self.ok("show-config", name, *self.tight[1:], "--policy", "lru"))
                direct = self.json("compare", name, *self.tight[1:], "--policy", "lru")
                self.assertEqual(self.json("compare", "--config", "c.toml")["results"], direct["results"])

    def test_hardware_file(self) -> None:
        self.write("hw.toml", HARDWARE)
        by_file = self.json("compare", *self.tight, "--hardware", "hw.toml")
        by_flag = self.json("compare", *self.tight, "--set", "hardware.far.link_read=55GB/s")
        self.assertEqual(by_file["results"], by_flag["results"])
        self.assertEqual(by_file["instance"]["hardware"]["name"], "mine")

    def test_model_file(self) -> None:
        """The model file of the contract, as it stands there."""
        self.write("model.toml", MODEL)
        instance = self.json("compare", self.trace, "--near-fraction", "0.5", "--model", "model.toml")["instance"]
        self.assertEqual((instance["block_bytes"], instance["weight_bytes_per_step"]), (16 * 1024, 400 * 2**20))
        self.assertTrue(instance["notes"])  # 32 layers, the trace has 2
        shaped = MODEL.replace('kv_bytes_per_token_per_layer = "16KiB"\n', "").replace("kv_heads = 32", "kv_heads = 8")
        self.write("model.toml", shaped.replace("paper,", "spec: paper,"))
        instance = self.json("compare", self.trace, "--near-fraction", "0.5", "--model", "model.toml")["instance"]
        self.assertEqual(instance["block_bytes"], 2 * 8 * 128 * 2)

    def test_advice_about_experts_can_be_followed(self) -> None:
        """As a user does who knows no model: each error names a flag, and with these flags the command runs."""
        rows = [f'0,{t},{l},"[{t % 4}, 4]","[1, {3 + t % 4}]"' for t in range(8) for l in range(2)]
        self.write("moe.csv", "\n".join(["query_id,token_id,layer_id,experts,attention", *rows, ""]))
        for stated in ((), ("--block-bytes", "4KiB")):
            with self.subTest(stated=stated):
                self.ok("import", "moe.csv", "-o", "moe.kvt", "--format", "fang-moe-csv", *stated)
                command = ["compare", "moe.kvt", "--near-blocks-per-layer", "2", "--policy", "lru"]
                if not stated:
                    self.refused(self.run_cli(*command), cli.BAD_INPUT, "or --block-bytes SIZE")
                    command += ["--block-bytes", "4KiB"]
                self.refused(self.run_cli(*command), cli.BAD_INPUT, "or --set model.experts.bytes_per_expert=SIZE")
                instance = self.json(*command, "--set", "model.experts.bytes_per_expert=1MB")["instance"]
                self.assertEqual((instance["block_bytes"], instance["notes"]), (4096, []))
                # The advice in the other order.
                if not stated:
                    command = command[:-2] + ["--set", "model.experts.bytes_per_expert=1MB"]
                    self.refused(self.run_cli(*command), cli.BAD_INPUT, "or --block-bytes SIZE")

    def test_further_tiers_are_kept(self) -> None:
        tier = """[[tier]]
name = "nvme"
capacity = "4TB"
bandwidth = "14GB/s"
link_read = "16GB/s"
link_write = "7GB/s"
"""
        self.write("hw.toml", HARDWARE.replace("[provenance]", tier + "[provenance]"))
        shown = self.ok("show-config", *self.tight, "--hardware", "hw.toml")
        self.assertIn("nvme", shown)
        self.assertIn("nvme", json.dumps(self.json("compare", *self.tight, "--hardware", "hw.toml")["instance"]))


if __name__ == "__main__":
    unittest.main()
