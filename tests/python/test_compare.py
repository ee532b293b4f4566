"""Comparisons and replays give what the command gives; keywords are its flags."""

import dataclasses
import inspect
import json
import os
import re
import unittest

import numpy as np
import pandas as pd

import kvplace
from python_test import BUNDLED, FLAGS, INSTANCE, CliTest, random_rows

SMALL = {"near_blocks_per_layer": 9, "block_bytes": "4KiB", "weight_bytes_per_step": 0}
SMALL_FLAGS = ("--near-blocks-per-layer", 9, "--block-bytes", "4KiB", "--weight-bytes-per-step", 0)


def same_but_for_paths(values):
    """The command runs in the folder of its files, the package elsewhere."""
    for entry in values["manifest"]["inputs"]:
        entry["file"] = os.path.basename(entry["file"])
    return values


class SmallTrace(CliTest):
    def setUp(self):
        super().setUp()
        self.make_trace("t.kvt", random_rows(11, 3, 60, 40, 2), 40, 2)
        self.trace = kvplace.Trace(self.path("t.kvt"))
        self.instance = kvplace.Instance(self.trace, **SMALL)


class Compared(SmallTrace):
    def test_all_policies_are_as_the_command_says(self):
        compared = kvplace.compare(self.trace, self.instance)
        expected = self.json("compare", "t.kvt", *SMALL_FLAGS)
        self.assertEqual(same_but_for_paths(compared.to_dict()), same_but_for_paths(expected))
        self.assertEqual(self.instance.to_dict(), expected["instance"])
        self.assertEqual(len(compared), len(expected["results"]))
        self.assertGreater(len(compared), 5)
        self.assertEqual(dataclasses.asdict(compared.bounds), expected["bounds"])
        for result, row in zip(compared, expected["results"]):
            self.assertEqual({key: getattr(result, key) for key in row}, row)
            self.assertIs(compared[result.policy], result)
        frame = compared.to_pandas()
        self.assertEqual(list(frame["far_reads"]), [row["far_reads"] for row in expected["results"]])

    def test_the_repr_is_the_commands_table(self):
        compared = kvplace.compare(self.trace, self.instance, ["lru", "sa-guided:w=7"])
        printed = self.ok("compare", "t.kvt", *SMALL_FLAGS, "--policy", "lru", "--policy", "sa-guided:w=7")
        self.assertEqual(repr(compared), printed.rstrip("\n"))
        self.assertEqual([result.policy for result in compared], ["lru", "sa-guided"])
        self.assertEqual(compared["sa-guided"].parameters["w"], 7)
        with self.assertRaisesRegex(KeyError, "compared were lru, sa-guided"):
            compared["fifo"]

    def test_attributes_are_the_fields_that_are_listed(self):
        """By name and type; those that are left out where there is none are None."""
        listed = {field["key"]: field for field in kvplace.list_results()}
        attributes = {field.name: field for field in dataclasses.fields(kvplace.Result)}
        self.assertEqual(sorted(attributes), sorted(listed))
        self.assertEqual({name for name, field in attributes.items() if field.default is None},
                         {key for key, field in listed.items() if field["optional"]})
        kinds = {"string": str, "integer": int, "number": float, "null": type(None)}
        compared = kvplace.compare(self.trace, self.instance, ["lru", "best-case", "planned", "sa:iterations=2"])
        for row in compared.to_dict()["results"]:
            self.assertEqual(set(listed) - set(row) - {key for key in listed if listed[key]["optional"]}, set())
            for key, value in row.items():
                first, *more = listed[key]["type"].split(" of ")
                self.assertIsInstance(value, {"array": list, "object": dict}.get(first) or
                                      tuple(kinds[name] for name in first.split(" or ")), key)
                for item in (value.values() if first == "object" else value) if more else ():
                    self.assertIsInstance(item, kinds[more[0].removesuffix("s")], key)

    def test_any_number_of_threads(self):
        results = [kvplace.compare(self.trace, self.instance, threads=threads).results for threads in (1, 2, 5)]
        self.assertEqual(results[0], results[1])
        self.assertEqual(results[0], results[2])

    def test_schedules(self):
        stored = self.path("lru.kvs")
        first = kvplace.compare(self.trace, self.instance, "lru", schedule_out=stored)
        again = kvplace.replay(self.trace, stored, self.instance)
        expected = self.json("replay", "t.kvt", "lru.kvs", *SMALL_FLAGS)
        self.assertEqual(same_but_for_paths(again.to_dict()), same_but_for_paths(expected))
        self.assertEqual(again.result.total_s, first[0].total_s)
        self.assertTrue(again.complete)
        self.assertEqual(repr(again), self.ok("replay", "t.kvt", "lru.kvs", *SMALL_FLAGS).rstrip("\n"))
        kvplace.record_schedule(self.trace, self.instance, "lru", self.path("twice.kvs"))
        self.assertEqual(self.read("twice.kvs"), self.read("lru.kvs"))
        self.write("cut.kvs", self.read("lru.kvs")[:-9])
        with self.assertRaises(kvplace.Rejected):
            kvplace.replay(self.trace, self.path("cut.kvs"), self.instance)
        with self.assertRaisesRegex(kvplace.BadInput, "one policy"):
            kvplace.compare(self.trace, self.instance, schedule_out=stored)

    def test_an_instance_of_another_trace(self):
        self.make_trace("other.kvt", random_rows(11, 3, 61, 40, 2), 40, 2)
        with self.assertRaisesRegex(kvplace.BadInput, "made for another trace"):
            kvplace.compare(kvplace.Trace(self.path("other.kvt")), self.instance)


class Instances(SmallTrace):
    CASES = [
        ({}, ()),
        ({"hardware": "h100-sxm-pcie5", "model": "llama-3.1-8b", "near_capacity": "1MiB"},
         ("--hardware", "h100-sxm-pcie5", "--model", "llama-3.1-8b", "--near-capacity", "1MiB")),
        ({"near_fraction": 0.25, "mode": "exclusive", "barrier": "token", "overlap": "none", "batch": 3, "seed": 7,
          "start": "empty"},
         ("--near-fraction", "0.25", "--mode", "exclusive", "--barrier", "token", "--overlap", "none", "--batch", "3",
          "--seed", "7", "--start", "empty")),
        ({"hardware.far.link_read": "55GB/s", "options.mirrored_reads": "split", "options.new_kv": False,
          "model": "llama-3.1-8b", "model.layers": 3},
         ("--set", "hardware.far.link_read=55GB/s", "--set", "options.mirrored_reads=split", "--set",
          "options.new_kv=false", "--model", "llama-3.1-8b", "--set", "model.layers=3")),
    ]

    def test_keywords_are_flags(self):
        for keywords, flags in self.CASES:
            with self.subTest(flags=flags):
                keywords = {"block_bytes": 4096, "weight_bytes_per_step": "1KiB"} | keywords
                instance = kvplace.Instance(self.trace, **keywords)
                flags = ("--block-bytes", "4096", "--weight-bytes-per-step", "1KiB", *flags)
                values = self.json("compare", "t.kvt", *flags, "--policy", "lru")
                self.assertEqual(instance.to_dict(), values["instance"])
                self.assertEqual(instance.near_capacity_bytes_per_request,
                                 values["instance"]["near_capacity_bytes_per_request"])
                shown = self.ok("show-config", "t.kvt", *flags)
                self.assertEqual(instance.show_config().replace(self.folder + "/", ""), shown)
                self.write("again.toml", shown)
                again = kvplace.Instance(self.trace, config=self.path("again.toml"))
                self.assertEqual(again.to_dict(), instance.to_dict())

    def test_keywords_are_those_of_the_settings(self):
        """What type checkers and readers see, in signature and docstring, is what the program lists."""
        settings = {setting["keyword"]: setting for setting in kvplace.list_settings() if setting["keyword"]}
        self.assertIn("near_capacity", settings)
        named = [name for name, parameter in inspect.signature(kvplace.Instance).parameters.items()
                 if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
        self.assertEqual(sorted(named), sorted(settings))
        documented = re.findall(r":param (\w+):", kvplace.Instance.__doc__)
        self.assertEqual(documented, ["trace", *settings, "fields"])

    def test_show_config_without_a_trace(self):
        self.assertEqual(kvplace.show_config(hardware="gb200", mode="exclusive", policies=["lru"]),
                         self.ok("show-config", "--hardware", "gb200", "--mode", "exclusive", "--policy", "lru"))

    def test_presets_as_objects(self):
        machine = kvplace.Hardware("h100-sxm-pcie5").replace({"far.link_read": "55GB/s"})
        by_object = kvplace.Instance(self.trace, hardware=machine, model=kvplace.Model("llama-3.1-8b"), near_fraction=0.5)
        by_text = kvplace.Instance(self.trace, hardware="h100-sxm-pcie5", model="llama-3.1-8b", near_fraction=0.5,
                                   **{"hardware.far.link_read": "55GB/s"})
        self.assertEqual(by_object.to_dict(), by_text.to_dict())

    def test_errors_name_the_keyword_and_the_mend(self):
        for keywords, sentence in (
            ({"near_fraction": 2}, "near_fraction: options.near_fraction: "),
            ({"hardware.far.link_red": "5GB/s"}, 'nearest known key is "hardware.far.link_read"'),
            ({"hardware.far.link_read": 55}, "hardware.far.link_read: .*(unit|GB/s)"),
            ({"hardware": "h100"}, "h100"),
            ({"near_capacity": "1GiB", "near_fraction": 0.5}, "near"),
            ({"near_capacity": 16}, 'near_capacity: options.near_capacity: "16" needs a unit: write it like 16GiB, or 16B'),
            ({"config": self.path("missing.toml")}, "missing.toml: cannot be opened"),
        ):
            with self.subTest(keywords=keywords), self.assertRaisesRegex(kvplace.BadInput, sentence):
                kvplace.Instance(self.trace, **{"block_bytes": 4096, **keywords})
        with self.assertRaisesRegex(kvplace.BadInput, "nearest"):
            kvplace.compare(self.trace, self.instance, ["lruu"])


class Presets(CliTest):
    def test_listings_are_the_commands(self):
        for what in ("policies", "hardware", "models", "formats", "settings", "results"):
            self.assertEqual(getattr(kvplace, f"list_{what}")(), json.loads(self.ok("list", what, "--json")))

    def test_fields(self):
        for entry in kvplace.list_hardware():
            machine = kvplace.Hardware(entry["name"])
            self.assertEqual(machine.to_dict(), entry)
            self.assertGreater(machine.number("far.link_read"), 1e9)
        model = kvplace.Model("llama-3.1-8b")
        self.assertEqual(model.number("kv_bytes_per_token_per_layer"), 4096)
        self.assertEqual(model.number("layers"), int(model["layers"]))
        self.assertEqual(kvplace.Hardware("h100-sxm-pcie5").number("near.capacity"), 80e9)
        with self.assertRaisesRegex(kvplace.BadInput, 'nearest known key is "far.link_read"'):
            kvplace.Hardware("h100-sxm-pcie5").replace({"far.link_reed": "1GB/s"})
        with self.assertRaises(KeyError):
            model.number("name")


class Demo(CliTest):
    def test_the_demo_and_real_numbers(self):
        compared = kvplace.demo()
        self.assertIn(repr(compared), self.ok("demo"))
        trace = kvplace.Trace(BUNDLED)
        expected = self.results(BUNDLED, *FLAGS, "--policy", "lru", "--policy", "belady-global")
        both = kvplace.compare(trace, kvplace.Instance(trace, **INSTANCE), ["lru", "belady-global"])
        for result in both:
            self.assertEqual(result.far_reads, expected[result.policy]["far_reads"])
            self.assertEqual(result.total_s, compared[result.policy].total_s)

    def test_unknown_bundled_trace(self):
        with self.assertRaisesRegex(kvplace.BadInput, "smollm2-holmes-page16-k64"):
            kvplace.bundled_trace("nosuch")


if __name__ == "__main__":
    unittest.main()
