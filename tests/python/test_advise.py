"""kvplace.advise answers as the command does."""

from __future__ import annotations

import json
import unittest

import kvplace
from python_test import CliTest

DEPLOYMENT = ("--model", "llama-3.1-8b", "--hardware", "rtx4090-pcie4", "--context", "16K", "--batch", "2", "--engine", "vllm")


class Advised(CliTest):
    def test_as_the_command_says(self) -> None:
        advice = kvplace.advise("llama-3.1-8b", "rtx4090-pcie4", "16K", batch=2, engine="vllm")
        expected = json.loads(self.ok("advise", *DEPLOYMENT, "--json"))
        for key in ("near", "requests_all_near", "requests_tiered", "settings", "sensitivity", "workload", "deployment"):
            self.assertEqual(advice[key], expected[key])
        self.assertEqual(set(advice.to_dict()), set(expected))
        self.assertIn("all KV near", repr(advice))
        self.assertEqual(kvplace.advise("llama-3.1-8b", "rtx4090-pcie4", 16384, batch=2, engine="vllm")["near"], advice["near"])

    def test_keywords_of_an_instance(self) -> None:
        advice = kvplace.advise("llama-3.1-8b", "8xh100", "16K", kv_dtype="fp8", **{"options.reserve": 0.2})
        self.assertEqual(advice["deployment"]["kv_dtype"], "fp8")
        self.assertEqual(advice["deployment"]["gpus"], 8)
        self.assertEqual(advice["near"]["reserve_bytes"], round(0.2 * advice["near"]["memory_bytes"]))

    def test_bad_input(self) -> None:
        for arguments in [("llama-3.1-8b", "rtx4090-pcie4"), ("llama-3.1-8b", "rtx4090-pcie4", "16GB"),
                          ("no-such-model", "rtx4090-pcie4", "16K")]:
            with self.assertRaises(kvplace.BadInput):
                kvplace.advise(*arguments)
        with self.assertRaises(TypeError):
            kvplace.advise("llama-3.1-8b", "rtx4090-pcie4", "16K", batch="two")

    def test_engines(self) -> None:
        self.assertEqual([engine["name"] for engine in kvplace.list_engines()],
                         [engine["name"] for engine in json.loads(self.ok("list", "engines", "--json"))])


if __name__ == "__main__":
    unittest.main()
