"""Synthetic traces are those of the command."""

import json
import unittest

import kvplace
from python_test import CliTest, random_rows


class Generate(CliTest):
    def test_presets_and_settings(self):
        settings = {"layers": 2, "steps": 30, "prompt_tokens": 2000, "seed": 5, "churn.overlap": 0.8}
        trace = kvplace.generate("quest-64k", self.path("a.kvt"), settings)
        self.ok("generate", "quest-64k", "-o", "b.kvt", *(f for k, v in settings.items() for f in ("--set", f"{k}={v}")))
        self.assertEqual(self.read("a.kvt"), self.read("b.kvt"))
        self.assertEqual((trace.layers, len(trace)), (2, 30))
        self.assertEqual(kvplace.list_generators(), json.loads(self.ok("list", "generators", "--json")))

    def test_twin(self):
        self.make_trace("t.kvt", random_rows(3, 2, 80, 60), 60)
        fit = kvplace.generate_like(kvplace.Trace(self.path("t.kvt")), self.path("a.kvt"),
                                    save_config=self.path("a.toml"), layers=3, steps=40, seed=1)
        expected = self.json("generate", "--like", "t.kvt", "-o", "b.kvt", "--layers", 3, "--steps", 40, "--seed", 1)
        self.assertEqual(self.read("a.kvt"), self.read("b.kvt"))
        kvplace.generate(self.path("a.toml"), self.path("c.kvt"))
        self.assertEqual(self.read("a.kvt"), self.read("c.kvt"))
        expected.pop("digest")
        self.assertEqual(fit, expected)

    def test_errors(self):
        self.make_trace("t.kvt", random_rows(3, 2, 20, 60), 60)
        for sentence, call in (
            ('"dsa-32k"', lambda: kvplace.generate("dsa-32", self.path("x.kvt"))),
            ('"churn.overlap"', lambda: kvplace.generate("dsa-32k", self.path("x.kvt"), {"churn.overlab": 0.5})),
            ("0 to 1", lambda: kvplace.generate("dsa-32k", self.path("x.kvt"), {"churn.overlap": 2})),
            ("input as well", lambda: kvplace.generate_like(kvplace.Trace(self.path("t.kvt")), self.path("t.kvt"))),
        ):
            with self.subTest(sentence=sentence), self.assertRaisesRegex(kvplace.BadInput, sentence):
                call()
        self.assertEqual(self.names(), ["t.kvt"])


if __name__ == "__main__":
    unittest.main()
