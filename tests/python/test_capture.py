"""Capture: the pass over a text and step-by-step decode select the same blocks, in every family of models."""

import os
import unittest
import unittest.mock

import numpy as np
import torch
from capture_test import DECODED, PROMPT, TOKENIZER, CaptureTest
from tiny_models import FAMILIES, CharacterTokenizer, tiny_model, token_ids

import kvplace
from kvplace.capture import capture, capture_text, examine

class PassAndSteps(CaptureTest):
    def check(self, family, select, **options):
        model = tiny_model(family)
        a, b = self.pass_over(model, select=select, **options), self.step_by_step(model, select=select, **options)
        self.assertEqual(a.digest, b.digest)
        hybrid = family in ("qwen3-next", "lfm2")  # of three layers one has attention
        self.assertEqual((a.steps, a.prompt_tokens, a.layers), (DECODED, PROMPT, 1 if hybrid else 3))
        for name, value in a.measurements.items():
            self.assertAlmostEqual(value, b.measurements[name], places=6, msg=name)
        return a

    def test_every_family(self):
        for family in FAMILIES:
            with self.subTest(family):
                trace = self.check(family, "quest:page=8,pages=4", ranking_depth=7)
                self.assertEqual(trace.block_tokens, 8)
                compressed = family in ("deepseek-v3", "deepseek-v3.2", "glm-dsa")
                self.assertEqual(trace.block_bytes, (2 * (32 + 8) if compressed else 2 * 2 * 2 * 16) * 8)

    def test_every_method(self):
        for select in ("mass:k=16", "mass:block=8,k=3,sinks=1,recent=1", "quest:page=16,share=0.5",
                       "quest-per-head:page=8,pages=2", "scores:k=16", "window:sinks=2,recent=9",
                       "snapkv:k=40,window=16", "top-p:p=0.7"):
            with self.subTest(select):
                self.check("llama", select, ranking_depth=24)

    def test_pieces_do_not_matter(self):
        from kvplace.capture import text_pass

        model = tiny_model("llama")
        whole = self.pass_over(model, select="snapkv:k=40,window=16")
        for tokens in (1, 7, 64):
            with unittest.mock.patch.object(text_pass, "PIECE_TOKENS", tokens):
                self.assertEqual(self.pass_over(model, "p.kvt", select="snapkv:k=40,window=16").digest, whole.digest)


class Contents(CaptureTest):
    def test_sliding_layers_read_their_window(self):
        trace = self.pass_over(tiny_model("gemma3"), select="mass:k=10", ranking_depth=40)
        for step in (0, 17, DECODED - 1):
            for layer in (0, 2):
                record = trace[step][layer]
                last = PROMPT + step
                np.testing.assert_array_equal(record.reads, np.arange(last - 23, last + 1))
                np.testing.assert_array_equal(record.ranking, np.arange(last, last - 40, -1))
            self.assertEqual(len(trace[step][1].reads), 10)

    def test_experts_are_blocks_of_the_same_trace(self):
        model = tiny_model("mixtral")
        trace = self.pass_over(model, select="mass:k=10", ranking_depth=20)
        with torch.no_grad():
            logits = model(token_ids(self.text), output_router_logits=True, use_cache=False).router_logits
        self.assertEqual(trace.experts, 6)
        for step in range(DECODED):
            for layer in range(3):
                order = np.argsort(-logits[layer][PROMPT + step].numpy())
                record = trace[step][layer]
                np.testing.assert_array_equal(record.reads[:2], np.sort(order[:2]))
                np.testing.assert_array_equal(record.ranking[:2], order[:2])
                np.testing.assert_array_equal(record.ranking[-4:], order[2:])
                self.assertTrue((record.reads[2:] >= 6).all() and len(record.reads) == 12)
                self.assertEqual(sorted(record.ranking[:12]), sorted(record.reads))
                np.testing.assert_array_equal(record.appended, [6 + PROMPT + step])

    def test_experts_alone(self):
        model = tiny_model("mixtral")
        both, alone = self.pass_over(model, select="mass:k=10"), self.pass_over(model, "r.kvt", select="router")
        self.assertEqual((alone.prompt_tokens, alone.blocks_per_layer, alone.selection), (0, 6, "router:k=2"))
        for step in range(DECODED):
            for layer in range(3):
                np.testing.assert_array_equal(alone[step][layer].reads, both[step][layer].reads[:2])
                self.assertEqual(len(alone[step][layer].appended), 0)

    def test_perplexity_and_repetition(self):
        model = tiny_model("llama")
        tokens = token_ids(self.text)
        with torch.no_grad():
            logits = torch.log_softmax(model(tokens).logits[0, :-1], 1)
        losses = logits[torch.arange(tokens.shape[1] - 1), tokens[0, 1:]]
        found = self.pass_over(model, select="mass:k=10").measurements
        self.assertAlmostEqual(found["perplexity"], float(torch.exp(-losses[PROMPT - 1 :].mean())), places=2)
        self.assertAlmostEqual(found["prompt_perplexity"], float(torch.exp(-losses[: PROMPT - 1].mean())), places=2)
        self.assertEqual(found["repetition_rate"], 0)
        loop = self.pass_over(model, "l.kvt", text=("abcde" * PROMPT)[: PROMPT + DECODED], select="mass:k=10")
        self.assertEqual(loop.measurements["repetition_rate"], 1)

    def test_skipped_tokens_and_the_first_one(self):
        class WithFirst(CharacterTokenizer):
            bos_token_id = 5

            def __call__(self, text, add_special_tokens=True, **options):
                ids = super().__call__(text)["input_ids"]
                return {"input_ids": [5, *ids] if add_special_tokens else ids}

        model = tiny_model("llama")
        options = {"prompt_tokens": PROMPT, "decode_tokens": 9, "select": "mass:k=10"}
        a = capture_text(model, WithFirst(), self.text, out=self.folder / "a.kvt", skip_tokens=20, **options)
        direct = chr(5) + self.text[20:]
        b = capture_text(model, TOKENIZER, direct, out=self.folder / "b.kvt", **options)
        self.assertEqual(a.digest, b.digest)


class Generation(CaptureTest):
    def generate(self, model, **options):
        prompt = token_ids(self.text)[:, :PROMPT]
        with capture(model, out=self.new_file("g.kvt"), threads=1, **options) as captured:
            tokens = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=DECODED + 1,
                                    do_sample=False)
        return captured.trace, tokens[0]

    def test_dense_generation_is_that_of_the_model(self):
        model = tiny_model("llama")
        prompt = token_ids(self.text)[:, :PROMPT]
        expected = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=DECODED + 1,
                                  do_sample=False)[0]
        trace, tokens = self.generate(model, select="quest:page=8,pages=3")
        self.assertEqual(tokens.tolist(), expected.tolist())
        self.assertEqual(model.config._attn_implementation, "sdpa")
        text = "".join(chr(token) for token in tokens[:-1].tolist())
        self.assertEqual(trace.digest, self.pass_over(model, text=text, select="quest:page=8,pages=3").digest)

    def test_feedback_with_every_block_changes_nothing(self):
        model = tiny_model("llama", dtype=torch.float64)
        dense, tokens = self.generate(model, select="quest:page=8,share=1")
        restricted, same = self.generate(model, select="quest:page=8,share=1", feedback=True)
        self.assertEqual(tokens.tolist(), same.tolist())
        self.assertEqual(dense.digest, restricted.digest)

    def test_feedback_attends_to_the_selected_tokens_only(self):
        """Against attention over everything with all else masked, written out."""
        for family, select in (("llama", "quest:page=8,pages=3"), ("gemma3", "mass:k=12"),
                               ("mistral-outgrowing", "mass:k=12"), ("qwen3", "quest-per-head:page=8,pages=2")):
            with self.subTest(family):
                model = tiny_model(family)
                trace, tokens = self.generate(model, select=select, feedback=True)
                expected = masked_generation(model, tokens[:PROMPT], trace, select, DECODED + 1)
                self.assertEqual(tokens.tolist(), expected)

    def test_feedback_changes_what_follows(self):
        model = tiny_model("llama")
        _, dense = self.generate(model, select="window:sinks=1,recent=3")
        _, restricted = self.generate(model, select="window:sinks=1,recent=3", feedback=True)
        self.assertNotEqual(dense.tolist(), restricted.tolist())


def masked_generation(model, prompt, trace, select, count):
    """Greedy tokens when decode step t of the model attends, in layer l, to the tokens of trace[t][l].reads alone; for
    methods whose heads have sets of their own, to those of the head, selected anew."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import repeat_kv
    from transformers.masking_utils import sdpa_mask

    selectors = {}

    def attention(module, query, key, value, attention_mask, scaling=None, **options):
        group = query.shape[1] // key.shape[1]
        layer, tokens = module.layer_idx, key.shape[2]
        start = seen["tokens"] - tokens  # position of the oldest key the cache holds
        keys, values = repeat_kv(key, group), repeat_kv(value, group)
        scores = query @ keys.transpose(2, 3) * scaling
        positions = torch.arange(start, seen["tokens"])
        own = torch.arange(seen["tokens"] - query.shape[2], seen["tokens"])
        allowed = (positions <= own[:, None]).expand(query.shape[1], -1, -1).clone()
        if options.get("sliding_window"):
            allowed &= positions > own[:, None] - options["sliding_window"]
        elif "per-head" in select:
            if layer not in selectors:
                selectors[layer] = kvplace.select.Selector(
                    select, query_heads=query.shape[1], kv_heads=key.shape[1], head_dim=query.shape[3], scale=scaling)
            selectors[layer].append(key[0, :, -query.shape[2] :].float().numpy())
            if query.shape[2] == 1:
                chosen = selectors[layer].select(query[0].float().numpy())
                for head in range(query.shape[1]):
                    allowed[head, 0] &= torch.isin(positions // trace.block_tokens,
                                                   torch.from_numpy(chosen.head_sets[head].astype(np.int64)))
        if query.shape[2] == 1 and "per-head" not in select:
            reads = trace[seen["step"]][layer].reads.astype(np.int64)
            allowed &= torch.isin(positions // trace.block_tokens, torch.from_numpy(reads))
        weights = torch.softmax(scores.masked_fill(~allowed, -torch.inf), -1)
        return (weights @ values).transpose(1, 2).contiguous(), None

    AttentionInterface.register("written-out", attention)
    AttentionMaskInterface.register("written-out", sdpa_mask)
    seen = {"tokens": len(prompt), "step": -1}
    tokens, cache, fed = prompt.tolist(), None, prompt[None]
    model.set_attn_implementation("written-out")
    try:
        with torch.no_grad():
            for _ in range(count):
                output = model(fed, past_key_values=cache, use_cache=True)
                cache = output.past_key_values
                tokens.append(int(output.logits[0, -1].argmax()))
                fed = torch.tensor([tokens[-1:]])
                seen["tokens"] += 1
                seen["step"] += 1
    finally:
        model.set_attn_implementation("sdpa")
    return tokens


class Examination(unittest.TestCase):
    def test_shapes(self):
        decoder = examine(tiny_model("gemma3"))
        self.assertEqual([layer.window for layer in decoder.layers], [24, None, 24])
        self.assertEqual((decoder.context, decoder.experts, decoder.kind), (256, 0, "Gemma3ForCausalLM"))
        layer = decoder.layers[1]
        self.assertEqual((layer.query_heads, layer.kv_heads, layer.head_dim, layer.scale), (4, 2, 16, 256**-0.5))
        decoder = examine(tiny_model("mixtral"))
        self.assertEqual((decoder.experts, decoder.experts_per_token, len(decoder.router_layers)), (6, 2, 3))


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    unittest.main()
