"""TieredCache beside the model's own cache, and beside dense attention masked to the pages that were selected."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
import transformers
from tiny_models import tiny_model
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

import kvplace

PROMPT, OUTPUT, PADDING, PAGE = 70, 24, 13, 16
FAMILIES = ("llama", "mistral", "mistral-sliding", "qwen2", "qwen3", "qwen3-moe", "smollm3", "mixtral", "gemma3", "gpt-oss")
AMPLE = "4MiB"
#: Room for a few pages of the tiny models beside what is always there.
SCANT = "420KiB"


def batch(seed=0, padding=PADDING):
    """Two prompts; the first is shorter, with padding on its left."""
    torch.manual_seed(seed)
    ids = torch.randint(1, 90, (2, PROMPT))
    mask = torch.ones_like(ids)
    mask[0, :padding] = 0
    return {"input_ids": ids, "attention_mask": mask}


def generate(model, inputs, cache=None, tokens=OUTPUT, **more):
    """Greedy; tokens, and the logits of each step."""
    out = model.generate(**inputs, past_key_values=cache, max_new_tokens=tokens, do_sample=False, output_logits=True,
                         return_dict_in_generate=True, **more)
    return out.sequences, torch.stack(out.logits)


def tiered(model, near=AMPLE, far="dram", **more):
    return kvplace.TieredCache(model.config, near, far, **{"max_tokens": 160, "policy": "lru", "select": "all:page=16", **more})


def own(model, inputs, **more):
    """What the model gives by itself."""
    model.config._attn_implementation = "eager"
    return generate(model, inputs, **more)


class Tiered(unittest.TestCase):
    def setUp(self):
        torch.set_num_threads(1)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_with_all_pages_read_it_gives_the_models_own_tokens(self):
        for family in FAMILIES:
            with self.subTest(family):
                model = tiny_model(family, dtype=torch.float32)
                inputs = batch()
                tokens, logits = own(model, inputs)
                cache = tiered(model)
                got, got_logits = generate(model, inputs, cache)
                self.assertTrue(torch.equal(got, tokens))
                torch.testing.assert_close(got_logits, logits, rtol=2e-4, atol=2e-4)
                self.assertGreater(cache.stats["near_reads"], 0)
                self.assertEqual(cache.get_seq_length(), PROMPT + OUTPUT - 1)

    def test_no_budget_policy_mode_or_far_memory_changes_a_bit(self):
        model = tiny_model("qwen3", dtype=torch.float32)
        inputs = batch()
        select = "quest:page=16,pages=3"
        first = None
        far_reads = set()
        for near, far, more in (
            (AMPLE, "dram", {}), (SCANT, "dram", {}), (SCANT, "paced:2GB/s", {"policy": "kvplace"}),
            (SCANT, "paced:2GB/s,latency=50us", {"mode": "exclusive", "copies": "background"}),
            (SCANT, f"file:{self.folder / 'kv.bin'}", {"policy": "fifo", "threads": 2}),
        ):
            cache = tiered(model, near, far, select=select, **more)
            got = generate(model, inputs, cache)
            first = first or got
            self.assertTrue(torch.equal(got[0], first[0]), (near, far, more))
            self.assertTrue(torch.equal(got[1], first[1]), (near, far, more))
            far_reads.add(cache.stats["far_reads"] > 0)
            self.assertLessEqual(cache.stats["near_bytes"], {AMPLE: 4 << 20, SCANT: 420 << 10}[near])
        self.assertEqual(far_reads, {False, True})

    def test_selected_pages_give_what_dense_attention_masked_to_them_gives(self):
        for family in ("llama", "gemma3", "gpt-oss"):
            with self.subTest(family):
                model = tiny_model(family, dtype=torch.float32)
                inputs = batch(padding=0)
                cache = tiered(model, SCANT, "paced:2GB/s", select="quest:page=16,pages=2", record=True)
                tokens, logits = generate(model, inputs, cache)
                pages = iter([of_layer for step in cache._record for of_layer in step])

                def masked(module, query, key, value, attention_mask, scaling=None, pages=pages, **kwargs):
                    if query.shape[2] == 1:
                        allowed = torch.zeros(2, 1, 1, key.shape[2], dtype=torch.bool)
                        for request, of_request in enumerate(next(pages)):
                            for page in of_request:
                                allowed[request, ..., page * PAGE:(page + 1) * PAGE] = True
                        attention_mask = attention_mask & allowed
                    groups = query.shape[1] // key.shape[1]
                    scores = query @ key.repeat_interleave(groups, 1).transpose(2, 3) * scaling
                    scores = scores.masked_fill(~attention_mask, -torch.inf)
                    if kwargs.get("s_aux") is not None:
                        sinks = kwargs["s_aux"][None, :, None, None].expand(*scores.shape[:3], 1)
                        scores = torch.cat([scores, sinks], -1)
                    weights = torch.softmax(scores, -1)[..., :key.shape[2]]
                    return (weights @ value.repeat_interleave(groups, 1)).transpose(1, 2).contiguous(), None

                AttentionInterface.register("masked", masked)
                AttentionMaskInterface.register(
                    "masked", lambda *a, **kw: sdpa_mask(*a, **{**kw, "allow_is_causal_skip": False}))
                model.config._attn_implementation = "masked"
                # Whole, so that the sliding layers' positions are those of the pages.
                plain = transformers.DynamicCache()
                expected, expected_logits = generate(model, inputs, plain)
                self.assertTrue(torch.equal(tokens, expected))
                torch.testing.assert_close(logits, expected_logits, rtol=2e-4, atol=2e-4)
                self.assertIsNone(next(pages, None))

    def test_prompts_in_parts_and_further_turns(self):
        for family in ("llama", "gemma3"):
            with self.subTest(family):
                model = tiny_model(family, dtype=torch.float32)
                inputs = batch()
                tokens, logits = own(model, inputs)
                got, got_logits = generate(model, inputs, tiered(model, SCANT, "paced:2GB/s"), prefill_chunk_size=32)
                self.assertTrue(torch.equal(got, tokens))
                torch.testing.assert_close(got_logits, logits, rtol=2e-4, atol=2e-4)
                # A second turn: all tokens so far, and some more.
                more = torch.randint(1, 90, (2, 9))
                ids = torch.cat([tokens, more], 1)
                mask = torch.cat([inputs["attention_mask"], torch.ones(2, OUTPUT + 9, dtype=torch.long)], 1)
                second = {"input_ids": ids, "attention_mask": mask}
                expected, _ = own(model, second, tokens=8)
                cache = tiered(model, SCANT, "paced:2GB/s")
                generate(model, inputs, cache)
                got, _ = generate(model, second, cache, tokens=8)
                self.assertTrue(torch.equal(got, expected))

    def test_a_trace_of_what_was_read(self):
        model = tiny_model("llama", dtype=torch.float32)
        cache = tiered(model, select="quest:page=16,pages=2", record=True)
        generate(model, batch(), cache)
        for request, prompt in enumerate((PROMPT - PADDING, PROMPT)):
            trace = cache.write_trace(self.folder / f"{request}.kvt", request)
            self.assertEqual((trace.prompt_tokens, trace.block_tokens, trace.steps, trace.layers),
                             (prompt, PAGE, OUTPUT - 1, 3))
            for step, layers in zip(trace, cache._record):
                for record, read in zip(step, layers):
                    np.testing.assert_array_equal(record.reads, read[request])
        merged = kvplace.merge([self.folder / "0.kvt", self.folder / "1.kvt"], self.folder / "m.kvt")
        self.assertEqual(merged.requests, 2)

    def refused(self, words, call):
        with self.assertRaisesRegex(kvplace.BadInput, words):
            call()

    def test_what_it_does_not_do_is_refused_in_a_sentence(self):
        model = tiny_model("llama", dtype=torch.float32)
        inputs = batch()
        self.refused("num_beams=1", lambda: generate(model, inputs, tiered(model), num_beams=2))
        with self.assertRaisesRegex((kvplace.BadInput, ValueError), "gives no tokens back|can be cropped"):
            generate(model, {key: value[1:] for key, value in inputs.items()}, tiered(model), prompt_lookup_num_tokens=3)
        cache = tiered(model)
        model.config._attn_implementation = "sdpa"
        self.refused("set_attn_implementation", lambda: generate(model, inputs, cache))
        for words, options in (("is not like", {"select": "quest:pages"}), ("is not like", {"select": "all:pages=3"}),
                               ("one page", {"select": "quest:pages=0"})):
            self.refused(words, lambda options=options: tiered(model, **options))
        self.refused("hold no page", lambda: generate(model, inputs, tiered(model, "8KiB")))
        self.refused("needs what a running cache does not know", lambda: generate(model, inputs, tiered(model, policy="belady")))
        self.refused("was made for 75", lambda: generate(model, inputs, tiered(model, max_tokens=75)))
        self.refused("nothing was recorded", lambda: tiered(model).write_trace(self.folder / "t.kvt"))
        cache = tiered(model)
        generate(model, inputs, cache, tokens=2)
        self.refused("make a cache for each batch", lambda: generate(
            model, {key: value[:1].repeat(1, 2) for key, value in inputs.items()}, cache, tokens=2))
        self.refused("float32, bfloat16 and float16", lambda: generate(model.double(), inputs, tiered(model)))
        capped = tiny_model("gemma2", dtype=torch.float32)
        self.refused("softcap", lambda: generate(capped, inputs, tiered(capped)))

    def test_another_attention_function_between_two_layers_is_noticed(self):
        """It would be given the new tokens alone."""
        model = tiny_model("llama", dtype=torch.float32)
        cache = tiered(model)
        key = torch.zeros(1, 2, 3, 16)
        cache.update(key, key, 0)
        self.refused("set_attn_implementation", lambda: cache.update(key, key, 1))

    def test_half_precision_is_kept_as_it_is(self):
        model = tiny_model("llama", dtype=torch.bfloat16)
        inputs = batch()
        one, two = (generate(model, inputs, tiered(model, near, "paced:2GB/s")) for near in (AMPLE, SCANT))
        self.assertTrue(torch.equal(one[1], two[1]))


if __name__ == "__main__":
    unittest.main()
