"""Capped scores, learned sinks, and layers without attention, beside what transformers' own eager attention answers."""

import unittest
import unittest.mock

import numpy as np
import torch
from capture_test import DECODED, PROMPT, TOKENIZER, CaptureTest
from tiny_models import random_text, tiny_model, token_ids

import kvplace
from kvplace.capture import capture, capture_texts, examine, text_pass
from kvplace.capture.hook import attached


def eager(model, text):
    """The model's own attention weights by layer, [query heads, tokens, tokens], and its log-likelihoods."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    with torch.no_grad():
        out = model(token_ids(text), output_attentions=True)
    model.set_attn_implementation(before)
    tokens = token_ids(text)[0]
    likelihoods = torch.log_softmax(out.logits[0, :-1].double(), 1)[range(len(tokens) - 1), tokens[1:]]
    return [None if weights is None else weights[0].double().numpy() for weights in out.attentions], likelihoods


class OwnScores(CaptureTest):
    def check(self, family, layers, select="mass:k=10", k=10):
        """Of these layers what is read is what gets most of the model's own attention."""
        model = tiny_model(family)
        weights, likelihoods = eager(model, self.text)
        trace = self.pass_over(model, select=select, without_experts=True, ranking_depth=k)
        self.assertAlmostEqual(trace.measurements["perplexity"],
                               float(torch.exp(-likelihoods[PROMPT - 1 : PROMPT + DECODED - 1].mean())), places=4)
        for step in range(DECODED):
            at = PROMPT + step
            for layer in layers:
                scores = weights[layer][:, at, : at + 1].sum(axis=0)
                order = np.lexsort((np.arange(at + 1), -scores))
                forced = [at, *(block for block in order if block != at)][:k]
                self.assertEqual(list(trace[step][layer].reads), sorted(forced), (family, step, layer))
        return model, trace

    def test_capped_scores(self):
        model, trace = self.check("gemma2", [1])
        self.assertEqual([layer.softcap for layer in examine(model).layers], [5.0] * 3)
        # The cap matters: without it other tokens are read.
        model.config.attn_logit_softcapping = None
        for layer in model.model.layers:
            layer.self_attn.attn_logit_softcapping = None
        plain = self.pass_over(model, select="mass:k=10", ranking_depth=10)
        self.assertNotEqual(plain.digest, trace.digest)

    def test_learned_sinks(self):
        model = tiny_model("gpt-oss")
        with torch.no_grad():
            for layer in model.model.layers:
                layer.self_attn.sinks.copy_(torch.tensor([4.0, -3.0, 2.0, 0.0]))
        decoder = examine(model)
        self.assertEqual(decoder.layers[1].sinks, (4.0, -3.0, 2.0, 0.0))
        weights, likelihoods = eager(model, self.text)
        self.assertLess(weights[1][:, PROMPT].sum(), 3.99)  # sinks take their share
        trace = self.pass_over(model, select="mass:k=10", without_experts=True, ranking_depth=10)
        self.assertAlmostEqual(trace.measurements["perplexity"],
                               float(torch.exp(-likelihoods[PROMPT - 1 : PROMPT + DECODED - 1].mean())), places=4)
        windows = [layer.window for layer in decoder.layers]
        self.assertEqual(windows, [24, None, 24])
        for step in range(DECODED):
            at = PROMPT + step
            scores = weights[1][:, at, : at + 1].sum(axis=0)
            order = [at, *(token for token in np.argsort(-scores, kind="stable") if token != at)]
            self.assertEqual(list(trace[step][1].reads), sorted(order[:10]))
            self.assertEqual(list(trace[step][0].reads), list(range(at - 23, at + 1)))

    def test_feedback_restricts_these_too(self):
        """With everything selected, restricted attention is the model's own; with little, it is not."""
        for family in ("gemma2", "gpt-oss"):
            model = tiny_model(family)
            tokens = token_ids(self.text)
            logits = {}
            for k in (PROMPT + 1, 4):
                with torch.no_grad(), capture(model, select=f"mass:k={k}", out=self.new_file("f.kvt"), feedback=True):
                    cache = model(tokens[:, :PROMPT], use_cache=True).past_key_values
                    logits[k] = model(tokens[:, PROMPT : PROMPT + 1], past_key_values=cache).logits
            with torch.no_grad():
                own = model(tokens[:, : PROMPT + 1]).logits[:, -1:]
            torch.testing.assert_close(logits[PROMPT + 1], own, rtol=1e-4, atol=1e-4)
            self.assertGreater(float((logits[4] - own).abs().max()), 1e-3)

    def test_the_hook_attends_as_the_model_does(self):
        for family in ("gemma2", "gpt-oss"):
            model = tiny_model(family)
            with torch.no_grad():
                model.set_attn_implementation("eager")
                own = model(token_ids(self.text)).logits
                with attached(model, lambda call: None):
                    hooked = model(token_ids(self.text)).logits
            torch.testing.assert_close(hooked, own, rtol=1e-5, atol=1e-5)


class Hybrids(CaptureTest):
    def test_layers_without_attention_are_left_out(self):
        for family in ("qwen3-next", "lfm2"):
            with self.subTest(family):
                model = tiny_model(family)
                decoder = examine(model)
                self.assertEqual((decoder.numbers, decoder.model_layers, len(decoder.layers)), ((1,), 3, 1))
                weights, likelihoods = eager(model, self.text)
                trace = self.pass_over(model, select="mass:k=10", ranking_depth=10, without_experts=True)
                self.assertEqual(trace.layers, 1)
                self.assertAlmostEqual(trace.measurements["perplexity"],
                                       float(torch.exp(-likelihoods[PROMPT - 1 : PROMPT + DECODED - 1].mean())), places=4)
                own = next(layer for layer in weights if layer is not None)
                for step in range(DECODED):
                    at = PROMPT + step
                    scores = own[:, at, : at + 1].sum(axis=0)
                    order = [at, *(token for token in np.argsort(-scores, kind="stable") if token != at)]
                    self.assertEqual(list(trace[step][0].reads), sorted(order[:10]))

    def test_pieces_carry_the_state(self):
        for family in ("qwen3-next", "lfm2"):
            model = tiny_model(family)
            whole = self.pass_over(model, select="mass:k=10", ranking_depth=10)
            with unittest.mock.patch.object(text_pass, "PIECE_TOKENS", 33):
                self.assertEqual(self.pass_over(model, select="mass:k=10", ranking_depth=10).digest, whole.digest)

    def test_experts_of_all_layers(self):
        """Layers without attention have experts as well: alone they are captured of all."""
        trace = self.pass_over(tiny_model("qwen3-next"), select="router")
        self.assertEqual((trace.layers, trace.experts), (3, 6))
        self.assertEqual({len(record.reads) for step in trace for record in step}, {2})
        beside = self.pass_over(tiny_model("qwen3-next"), select="mass:k=10")
        for one, other in zip(trace, beside, strict=True):
            self.assertEqual(list(one[1].reads), list(other[0].reads[:2]))

    def test_nothing_but_states(self):
        import transformers

        config = transformers.MambaConfig(vocab_size=97, hidden_size=16, num_hidden_layers=2, state_size=4)
        with self.assertRaisesRegex(kvplace.BadInput, "keep a state of fixed size"):
            examine(transformers.MambaForCausalLM(config))


class ManyTexts(CaptureTest):
    def capture(self, texts, out, **options):
        options = {"prompt_tokens": 20, "decode_tokens": 5, "select": "mass:k=8", "threads": 1, **options}
        return capture_texts(tiny_model("llama"), TOKENIZER, texts, out=out, **options)

    def test_it_goes_on(self):
        texts = [random_text(30, seed) for seed in range(4)]
        out = self.folder / "x.kvt"
        self.assertEqual(len(self.capture(texts[:1], out)), 1)  # of one text under the name itself
        traces = self.capture(texts, out)
        names = [f"x-{i}.kvt" for i in range(4)]
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), sorted([*names, "x.kvt"]))
        digests = [trace.digest for trace in traces]
        self.assertEqual(len(set(digests)), 4)
        before = {name: (self.folder / name).stat().st_mtime_ns for name in names}
        del traces
        (self.folder / "x-2.kvt").unlink()
        (self.folder / "x-3.kvt").write_bytes((self.folder / "x-3.kvt").read_bytes()[:-20])  # cut short
        again = self.capture(texts, out)
        self.assertEqual([trace.digest for trace in again], digests)
        after = {name: (self.folder / name).stat().st_mtime_ns for name in names}
        self.assertEqual([before[name] == after[name] for name in names], [True, True, False, False])
        # Another text, or another selection, is another trace.
        del again
        other = self.capture([*texts[:3], random_text(30, 9)], out)
        self.assertEqual([trace.digest == digest for trace, digest in zip(other, digests, strict=True)],
                         [True, True, True, False])

    def test_all_texts_are_looked_at_first(self):
        with self.assertRaisesRegex(kvplace.BadInput, "text 1: the text has 10 tokens"):
            self.capture([random_text(30), random_text(10)], self.folder / "x.kvt")
        self.assertEqual(list(self.folder.iterdir()), [])
        with self.assertRaisesRegex(kvplace.BadInput, "no text"):
            self.capture([], self.folder / "x.kvt")


if __name__ == "__main__":
    unittest.main()
