"""What capture refuses, and what is left when it is cut short: one clear sentence each."""

import inspect
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

import numpy as np
import torch
import transformers
from tiny_models import COMMON, CharacterTokenizer, random_text, tiny_model, token_ids

import kvplace
from kvplace.capture import capture, capture_selections, capture_text, examine, load_model

HERE = Path(__file__).resolve().parent


class RefusalTest(unittest.TestCase):
    def setUp(self):
        torch.set_num_threads(1)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = Path(folder.name) / "x.kvt"

    def refused(self, pattern, call, *arguments, **options):
        with self.assertRaisesRegex(kvplace.BadInput, pattern):
            call(*arguments, **options)
        self.assertEqual(list(self.out.parent.iterdir()), [])

    def text(self, pattern, model=None, tokens=110, **options):
        options = {"prompt_tokens": 70, "decode_tokens": 40, "select": "mass:k=8", **options}
        self.refused(pattern, capture_text, model or tiny_model("llama"), CharacterTokenizer(), random_text(tokens),
                     out=self.out, **options)


class Models(RefusalTest):
    def test_no_model_of_transformers(self):
        self.refused("Linear is no model of transformers", examine, torch.nn.Linear(2, 2))

    def test_encoder_and_decoder(self):
        config = transformers.T5Config(vocab_size=97, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
        self.refused("has an encoder", examine, transformers.T5ForConditionalGeneration(config))

    def test_attention_of_its_own(self):
        config = transformers.CodeGenConfig(vocab_size=97, n_embd=32, n_layer=1, n_head=4, rotary_dim=4, n_positions=64)
        self.refused("CodeGenForCausalLM does not call its attention through transformers' AttentionInterface", examine,
                     transformers.CodeGenForCausalLM(config))

    def test_layers_without_attention(self):
        config = transformers.MambaConfig(vocab_size=97, hidden_size=16, num_hidden_layers=2, state_size=4)
        self.refused("Mamba", examine, transformers.MambaForCausalLM(config))

    def test_the_model_is_left_as_it_was(self):
        model = tiny_model("llama").train()
        examine(model)
        self.assertTrue(model.training)
        self.assertEqual(model.config._attn_implementation, "sdpa")

    def test_experts_of_a_dense_model(self):
        self.text("LlamaForCausalLM is a dense model", select="router")
        self.text("MixtralForCausalLM chooses 2 experts per token", model=tiny_model("mixtral"), select="router:k=3")

    def test_names(self):
        self.refused("there is no such folder", load_model, "/nowhere/at/all")
        self.refused("holds no x.gguf", load_model, HERE, gguf_file="x.gguf")


class Sizes(RefusalTest):
    def test_text_too_short(self):
        self.text("the text has 109 tokens; 110 are needed$", tokens=109)
        self.text("the text has 120 tokens; 110 are needed behind the 11 skipped", tokens=120, skip_tokens=11)

    def test_context(self):
        self.text("200 prompt and 57 decode tokens are more than the 256 tokens of the context",
                  tokens=300, prompt_tokens=200, decode_tokens=57)

    def test_budget_over_the_context(self):
        self.text("72", select="mass:k=72")
        self.text("10 ", select="quest:page=8,pages=10")

    def test_selection(self):
        self.text("mass", select="moss:k=8")
        self.text("k must be a whole number", select="mass:k=none")

    def test_counts(self):
        for name, value in (("prompt_tokens", 0), ("decode_tokens", 0), ("skip_tokens", -1), ("ranking_depth", -1)):
            self.text("must be at least 1", **{name: value})

    def test_no_folder(self):
        self.refused("cannot be created", capture_text, tiny_model("llama"), CharacterTokenizer(), random_text(110),
                     prompt_tokens=70, decode_tokens=40, select="mass:k=8", out=self.out.parent / "no" / "x.kvt")


class Values(RefusalTest):
    def test_scores_that_are_no_numbers(self):
        model = tiny_model("llama")
        with torch.no_grad():
            model.model.layers[1].self_attn.k_proj.weight[0, 0] = torch.nan
        self.text("layer 1, positions 0 to 109: .*finite", model=model)

    def test_types(self):
        from kvplace.capture.hook import AttentionCall
        from kvplace.capture.layers import SelectingLayers

        decoder = examine(tiny_model("llama"))

        def take(query, key):
            layers = SelectingLayers(decoder, "mass:k=2", ranking_depth=0, threads=1)
            layers.take(AttentionCall(0, query, key, key, None, {}), None)

        key = torch.zeros(1, 2, 5, 16)
        self.refused("of type torch.int64; floating point", take, torch.zeros(1, 4, 5, 16), key.long())
        self.refused("layer 0, positions 0 to 4: .*", take, torch.zeros(1, 4, 5, 16), torch.zeros(1, 3, 5, 16))
        self.refused("the cache returned 7 keys where 5 tokens", take, torch.zeros(1, 4, 5, 16),
                     torch.zeros(1, 2, 7, 16))
        self.refused("a batch of 2", take, torch.zeros(2, 4, 5, 16), torch.zeros(2, 2, 5, 16))


class Types(RefusalTest):
    """The wrong type of any parameter is a TypeError that names it, before a model is looked at."""

    def test_every_parameter_is_named(self):
        given = {"model": object(), "tokenizer": object(), "text": "a", "wanted": [], "prompt_tokens": 1,
                 "decode_tokens": 1, "out": self.out, "name": "smollm2"}
        for call in (capture, capture_text, capture_selections, load_model):
            parameters = inspect.signature(call).parameters
            required = {name: given[name] for name, p in parameters.items() if p.default is p.empty}
            for parameter in parameters.keys() - {"model", "tokenizer"}:
                with self.subTest(call=call.__name__, parameter=parameter):
                    with self.assertRaisesRegex(TypeError, rf"^{call.__name__}: {parameter} takes ."):
                        call(**{**required, parameter: object()})
        with self.assertRaisesRegex(TypeError, "^load_model: dtype takes a torch.dtype, not 'bf16'"):
            load_model("smollm2", dtype="bf16")
        self.assertEqual(list(self.out.parent.iterdir()), [])


class Live(RefusalTest):
    def live(self, pattern, use, **options):
        def run():
            with torch.no_grad(), capture(tiny_model("llama"), out=self.out, select="mass:k=8", **options) as captured:
                use(captured._model)

        self.refused(pattern, run)

    def test_nothing_decoded(self):
        self.live("the model decoded no token", lambda model: None)
        self.live("the model decoded no token", lambda model: model(token_ids("abcdefgh")))

    def test_batches(self):
        self.live("a batch of 2", lambda model: model(token_ids("abcdefgh").repeat(2, 1)))

    def test_padding(self):
        ids = token_ids("abcdefgh")
        mask = torch.ones_like(ids)
        mask[0, 0] = 0
        self.live("padded", lambda model: model(ids, attention_mask=mask))

    def test_budget(self):
        self.live("8", lambda model: model.generate(token_ids("abcd"), max_new_tokens=3))

    def test_two_prompts(self):
        def use(model):
            cache = model(token_ids("abcdefgh"), use_cache=True).past_key_values
            cache = model(token_ids("i"), past_key_values=cache).past_key_values
            model(token_ids("jkl"), past_key_values=cache)

        with self.assertRaisesRegex(kvplace.BadInput, "3 tokens at once after decode step 0.*x.kvt holds the first 1 "):
            with torch.no_grad(), capture(tiny_model("llama"), out=self.out, select="mass:k=8") as captured:
                use(captured._model)
        self.assertEqual(kvplace.Trace(self.out, recover=True).steps, 1)


class CutShort(RefusalTest):
    TEXT = random_text(250)

    def whole(self):
        return capture_text(tiny_model("llama"), CharacterTokenizer(), self.TEXT, prompt_tokens=70, decode_tokens=180,
                            select="mass:k=32", ranking_depth=64, out=self.out.parent / "whole.kvt")

    def check_prefix(self, part, whole):
        self.assertTrue(part.recovered)
        self.assertGreater(part.steps, 0)
        for step in range(part.steps):
            for a, b in zip(part[step], whole[step], strict=True):
                np.testing.assert_array_equal(a.reads, b.reads)
                np.testing.assert_array_equal(a.ranking, b.ranking)

    def test_full_disk(self):
        """A limit on the size of files stands for a disk that fills up."""
        whole = self.whole()
        size = (self.out.parent / "whole.kvt").stat().st_size
        script = f"""
import resource, sys
sys.path.insert(0, {str(HERE)!r})
import test_capture_errors as t
from kvplace.capture import capture_text, sink
import kvplace
sink.CHUNK_BYTES = 4096
model = t.tiny_model("llama")
resource.setrlimit(resource.RLIMIT_FSIZE, ({size // 2}, {size // 2}))
try:
    capture_text(model, t.CharacterTokenizer(), t.CutShort.TEXT, prompt_tokens=70, decode_tokens=180,
                 select="mass:k=32", ranking_depth=64, out={str(self.out)!r})
except kvplace.Failed as error:
    print(error)
"""
        run = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True)
        self.assertRegex(run.stdout, r"cannot be written: .*; .*x.kvt holds the first \d+ decode steps", run.stderr)
        part = kvplace.Trace(self.out, recover=True)
        self.assertLess(part.steps, whole.steps)
        self.check_prefix(part, whole)
        with self.assertRaisesRegex(kvplace.BadInput, "truncated"):
            kvplace.Trace(self.out)

    def test_interrupt(self):
        from kvplace.capture import text_pass

        whole = self.whole()

        class Bar:
            def start(self, *_): ...
            def finish(self): ...
            def update(self, done):
                if done >= 150:
                    raise KeyboardInterrupt

        with unittest.mock.patch.object(text_pass, "PIECE_TOKENS", 50), self.assertRaises(KeyboardInterrupt):
            capture_text(tiny_model("llama"), CharacterTokenizer(), self.TEXT, prompt_tokens=70, decode_tokens=180,
                         select="mass:k=32", ranking_depth=64, out=self.out, progress=Bar())
        part = kvplace.Trace(self.out, recover=True)
        self.assertEqual(part.steps, 80)
        self.check_prefix(part, whole)

    def test_an_older_trace_stays(self):
        whole = self.whole()
        whole.slice(self.out, steps=(0, 3))
        with self.assertRaisesRegex(kvplace.Error, "x.kvt.partial holds the first 2 "), torch.no_grad():
            with capture(tiny_model("llama"), out=self.out, select="mass:k=8") as captured:
                cache = captured._model(token_ids(self.TEXT[:9])).past_key_values
                for _ in range(2):
                    cache = captured._model(token_ids("a"), past_key_values=cache).past_key_values
                captured._model(token_ids("bc"), past_key_values=cache)
        self.assertEqual(kvplace.Trace(self.out).steps, 3)

if __name__ == "__main__":
    unittest.main()
