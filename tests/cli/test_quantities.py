"""What the program prints can be typed back: every figure of a configuration, and answers; bare numbers ask for units."""

from __future__ import annotations

import json
import re
import tomllib
import unittest

import cli

LAYERS, STEPS, PROMPT = 2, 24, 20
SECTIONS = ("hardware", "model", "options")


def flat(table: dict, prefix: str = "") -> dict:
    """Dotted keys and values of a parsed TOML document."""
    values = {}
    for key, value in table.items():
        values.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return values


class QuantityTest(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.trace = self.make_trace("t.kvt", cli.random_rows(3, LAYERS, STEPS, PROMPT), PROMPT)

    def instance(self, *flags: object) -> dict:
        return self.json("compare", self.trace, "--near-fraction", 0.5, "--policy", "lru", *flags)["instance"]


class TypedBack(QuantityTest):
    def test_every_field_of_every_preset(self) -> None:
        hardware, models = ([entry["name"] for entry in json.loads(self.ok("list", what, "--json"))]
                            for what in ("hardware", "models"))
        for i, machine in enumerate(hardware):
            model = models[i % len(models)]
            with self.subTest(hardware=machine, model=model):
                flags = ["--hardware", machine, "--model", model]
                growing = {layer["kv_bytes_per_token"] for layer in self.json("model", model)["layers"]
                           if layer["kind"] in ("full", "mla")}
                if len(growing) > 1:
                    flags += ["--block-bytes", "4KiB"]  # blocks are of one size, which such layers have not
                shown = self.ok("show-config", *flags, "--near-fraction", 0.5)
                told = self.instance(*flags)
                fields = {f"{s}.{key}": value for s in SECTIONS for key, value in told[s].items()}
                self.assertEqual(flat(tomllib.loads(shown)), fields)
                sets = [f"--set={key}={value if isinstance(value, str) else json.dumps(value)}"
                        for key, value in fields.items()]
                self.assertEqual(self.ok("show-config", *sets), shown)
                # The line for people has the same texts.
                machine_line = self.ok("compare", self.trace, *flags, "--near-fraction", 0.5, "--policy",
                                       "lru").split("machine")[1].split("\n")[0]
                found = re.findall(r"[\d.]+[kMGT]?B/s", machine_line)
                if sharing := told["hardware"].get("far.shared_by"):
                    whole, part = (float(text.removesuffix("GB/s")) for text in (
                        told["hardware"]["far.bandwidth"].replace("TB/s", "e3GB/s"), found[1]))
                    self.assertAlmostEqual(part * sharing, whole, delta=1e-6)
                    found[1] = told["hardware"]["far.bandwidth"]
                self.assertEqual(found, [told["hardware"][key] for key in ("near.bandwidth", "far.bandwidth",
                                                                           "far.link_read", "far.link_write")])
        self.assertLessEqual(len(models), len(hardware))  # else some were not tried

    def test_figures_given_by_hand(self) -> None:
        given = ["--near-capacity", "328320MiB", "--set", "hardware.far.link_read=2.039 TB/s", "--set",
                 "hardware.step_overhead=0.0317 ms", "--weight-bytes-per-step", "1,000 kB", "--set",
                 "hardware.near.capacity=400,000.5 MB", "--block-bytes", "18432"]
        shown = self.ok("show-config", *given)
        for line in ('near_capacity = "320.625GiB"', 'far.link_read = "2039GB/s"', 'step_overhead = "31.7us"',
                     'weight_bytes_per_step = "1MB"', 'near.capacity = "400.0005GB"', 'block_bytes = "18KiB"'):
            self.assertIn(line + "\n", shown)
        self.write("c.toml", shown)
        self.assertEqual(self.ok("show-config", "--config", "c.toml"), shown)

    def test_fractions_round_down_to_the_byte(self) -> None:
        for text, size in (("5.38GiB", 5_776_731_013), ("5.38 GiB", 5_776_731_013), ("74.3 GiB", 79_779_017_523),
                           ("0.29GB", 290_000_000)):
            found = self.json("compare", self.trace, "--block-bytes", "4KiB", "--near-capacity", text, "--policy", "lru")
            self.assertEqual(found["instance"]["near_capacity_bytes_per_request"], size, text)

    def test_answers_of_size_do_what_they_say(self) -> None:
        flags = (self.trace, "--block-bytes", 400001, "--weight-bytes-per-step", 0)
        text = self.ok("size", *flags, "--target", "80 %", "--policy", "lru-global")
        answer, neighbour = re.search(r"^lru-global +([\d.]+ \w+) .* ([\d.]+ [kKMG]i?B) ", text, re.MULTILINE).groups()
        rate = float(re.search(r"all near: ([\d,]+) tokens/s", text)[1].replace(",", ""))
        reached, missed = (self.results(*flags, "--near-capacity", size, "--policy", "lru-global")["lru-global"]
                           for size in (answer, neighbour))
        self.assertGreaterEqual(reached["tokens_per_s"], 0.8 * rate * (1 - 1e-5))
        self.assertLess(missed["tokens_per_s"], 0.8 * rate * (1 + 1e-5))
        # A rate as it stands there is a target.
        target = f"{int(0.8 * rate):,} tokens/s"
        again = self.json("size", *flags, "--target", target, "--policy", "lru-global")
        self.assertEqual(again["target"], target.replace(",", ""))


class Units(QuantityTest):
    def test_a_bare_number_asks_for_a_unit(self) -> None:
        sizes = 'needs a unit: write it like 16GiB, or 16B if bytes are meant'
        self.write("c.toml", "[options]\nnear_capacity = 16\n")
        self.write("m.toml", "name = 'm'\n[near]\ncapacity = 16\n")
        for flags, *says in (
                (("--near-capacity", 16), "--near-capacity: options.near_capacity", sizes),
                (("--set", "options.near_capacity=16"), "--set: options.near_capacity", sizes),
                (("--set", "hardware.far.capacity=16"), "hardware.far.capacity", sizes),
                (("--config", "c.toml"), "c.toml:2: options.near_capacity", sizes),
                (("--hardware", "m.toml"), "m.toml:3: near.capacity", sizes),
                (("--near-capacity", "16 gib"), "write 16GiB"), (("--near-capacity", "16gb"), "write 16GB "),
                (("--near-capacity", "16G"), "write 16GB or 16GiB"),
                (("--near-capacity", "1e3GiB"), "exponent", "1000GiB"),
                (("--near-capacity", "16\u00a0GiB"), "outside ASCII"),
                (("--near-capacity", "1,5GiB"), "point"), (("--near-capacity=-1GiB",), "below 0"),
                (("--block-bytes", "18432.5"), "--block-bytes", "whole number of bytes")):
            with self.subTest(flags=flags):
                self.refused(self.run_cli("show-config", *flags), cli.BAD_INPUT, *says)
        self.refused(self.run_cli("budgets", self.trace, "--block-bytes", 4096, "--total", 16), cli.BAD_INPUT,
                     "--total: options.near_capacity", sizes)

    def test_none_is_needed_where_the_name_says_bytes(self) -> None:
        self.write("m.toml", "name = 'm'\nlayers = 2\nkv_bytes_per_token_per_layer = 1152\nweight_bytes = 5000\n")
        self.assertEqual(self.instance("--model", "m.toml", "--weight-bytes-per-step", 77)["block_bytes"], 1152)
        self.assertEqual(self.instance("--block-bytes", 4096)["block_bytes"], 4096)


class KvOfAModel(QuantityTest):
    """KV bytes and the shape that they come from never contradict each other unseen."""

    def kv(self, *flags: object) -> str:
        return self.instance(*flags)["model"]["kv_bytes_per_token_per_layer"]

    def test_dtype_changes_the_bytes(self) -> None:
        preset = ("--model", "qwen3-8b")
        self.assertEqual([self.kv(*preset, "--set", f"model.attention.dtype={dtype}") for dtype in
                          ("fp32", "bf16", "fp8")], ["8KiB", "4KiB", "2KiB"])
        self.assertEqual(self.kv("--model", "deepseek-v3.2", "--set", "model.attention.dtype=fp8"), "576B")
        self.assertEqual(self.kv(*preset, "--set", "model.attention.kv_heads=4"), "2KiB")
        # Over a file as show-config prints it, too, and what is printed runs again.
        self.write("c.toml", self.ok("show-config", *preset))
        self.assertEqual(self.kv("--config", "c.toml", "--set", "model.attention.dtype=fp8"), "2KiB")
        self.write("d.toml", self.ok("show-config", *preset, "--set", "model.attention.dtype=fp8"))
        self.assertEqual(self.kv("--config", "d.toml"), "2KiB")
        # A shape given bit by bit.
        self.assertEqual(self.kv("--set", "model.layers=2", "--set", "model.attention.head_dim=64", "--set",
                                 "model.attention.kv_heads=2"), "512B")

    def test_bytes_given_by_hand(self) -> None:
        both = ("--model", "deepseek-v3.2", "--set", "model.kv_bytes_per_token_per_layer=656B", "--set",
                "model.attention.dtype=fp8")
        instance = self.instance(*both)
        self.assertEqual(instance["model"]["kv_bytes_per_token_per_layer"], "656B")
        self.assertIn("656B", " ".join(instance["notes"]))
        self.assertIn("576B", " ".join(instance["notes"]))
        self.write("c.toml", self.ok("show-config", *both))
        self.write("m.toml", "name = 'm'\nlayers = 2\nkv_bytes_per_token_per_layer = '3KiB'\n")
        for flags in (("--config", "c.toml", "--set", "model.attention.dtype=bf16"),
                      ("--model", "m.toml", "--set", "model.attention.dtype=fp8")):
            with self.subTest(flags=flags):
                self.refused(self.run_cli("show-config", *flags), cli.BAD_INPUT, "--set: model.attention.dtype",
                             "model.kv_bytes_per_token_per_layer")
        self.assertEqual(self.kv("--config", "c.toml", "--set", "model.attention.dtype=bf16", "--set",
                                 "model.kv_bytes_per_token_per_layer=1152"), "1152B")


if __name__ == "__main__":
    unittest.main()
