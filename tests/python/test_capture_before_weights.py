"""The command kvplace-capture on tiny models in folders: what it finds wrong before it loads weights, and what it says
on its way."""

import contextlib
import io
import os
import tempfile
import unittest
import unittest.mock
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import tokenizers
import torch
import transformers
from tiny_models import COMMON, FAMILIES, random_text, tiny_model

import kvplace
from kvplace import _capture_command, _progress_lines
from kvplace.capture import load_model, text_pass

CHARACTERS = [chr(32 + i) for i in range(95)]


class WeightsWereLoaded(Exception):
    pass


class CommandTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.set_num_threads(1)
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        for name in ("llama", "mixtral", "deepseek-v3.2"):
            cls.save(name, tiny_model(name, dtype=torch.float32))

    @classmethod
    def save(cls, name, model_or_config):
        model_or_config.save_pretrained(cls.folder / name)
        plain = tokenizers.Tokenizer(tokenizers.models.WordLevel({c: i for i, c in enumerate(CHARACTERS)}, unk_token=" "))
        plain.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
        transformers.PreTrainedTokenizerFast(tokenizer_object=plain).save_pretrained(cls.folder / name)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = Path(folder.name) / "x.kvt"
        self.text = Path(folder.name) / "text"
        self.text.write_text(random_text(110), encoding="utf-8")

    def run_command(self, *more, model="llama", **changed):
        """Exit code, stdout and stderr."""
        flags = {"--text": self.text, "--prompt-tokens": 70, "--decode-tokens": 40, "--select": "mass:k=8",
                 "--threads": 1, "-o": self.out, **changed}
        arguments = ["--model", self.folder / model, *more, *(part for flag in flags.items() for part in flag)]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = _capture_command.main([str(argument) for argument in arguments])
        return code, out.getvalue(), err.getvalue()


class BeforeWeights(CommandTest):
    def setUp(self):
        super().setUp()
        weights = unittest.mock.patch.object(
            transformers.AutoModelForCausalLM, "from_pretrained", side_effect=WeightsWereLoaded)
        weights.start()
        self.addCleanup(weights.stop)

    def refused(self, pattern, *more, **changed):
        code, out, err = self.run_command(*more, **changed)
        self.assertEqual((code, out), (2, ""), err)
        self.assertRegex(err, rf"\Akvplace-capture: .*{pattern}.*\n\Z")
        self.assertEqual(list(self.out.parent.iterdir()), [self.text])

    def test_that_loading_would_be_seen(self):
        with self.assertRaises(WeightsWereLoaded):
            self.run_command()

    def test_text(self):
        self.text.write_text(random_text(109), encoding="utf-8")
        self.refused("the text has 109 tokens; 110 are needed")
        self.refused("the text has 109 tokens; 110 are needed behind the 3 skipped", **{"--skip-tokens": 3})
        self.text.write_bytes(b"ab\xff")
        self.refused("is no UTF-8 text: byte 2")

    def test_output(self):
        self.refused("no/x.kvt: cannot be created", **{"-o": self.out.parent / "no/x.kvt"})

    def test_selection_and_budget(self):
        self.refused("moss", **{"--select": "moss:k=8"})
        self.refused("72", **{"--select": "mass:k=72"})
        self.refused("LlamaForCausalLM is a dense model", **{"--select": "router"})
        self.refused("not every layer of LlamaForCausalLM has an indexer", **{"--select": "indexer"})
        self.refused("chooses 12 tokens per step", model="deepseek-v3.2", **{"--select": "indexer:k=13"})
        self.refused("chooses 2 experts per token", model="mixtral", **{"--select": "router:k=3"})
        self.refused("which without_experts", "--without-experts", model="mixtral", **{"--select": "router"})

    def test_context(self):
        self.text.write_text(random_text(300), encoding="utf-8")
        self.refused("70 prompt and 187 decode tokens are more than the 256 tokens", **{"--decode-tokens": 187})

    def test_models(self):
        for name, config, pattern in (
            ("mamba", transformers.MambaConfig(vocab_size=97, hidden_size=16, num_hidden_layers=2, state_size=4),
             "MambaForCausalLM: its linear_attention layers keep a state of fixed size in place of keys and values"),
            ("codegen", transformers.CodeGenConfig(vocab_size=97, n_embd=32, n_layer=1, n_head=4, rotary_dim=4,
                                                   bos_token_id=None, eos_token_id=None),
             "does not call its attention through"),
            ("chunks", transformers.Llama4TextConfig(**COMMON, num_local_experts=2, attention_chunk_size=32),
             "its chunked_attention layers attend to their own chunk of the text"),
        ):
            with self.subTest(name):
                self.save(name, config)
                self.refused(pattern, model=name)

    def test_every_family_is_understood_without_weights(self):
        self.text.write_text(random_text(150), encoding="utf-8")  # some take two characters for one token
        for family in FAMILIES:
            with self.subTest(family), self.assertRaises(WeightsWereLoaded):
                if not (self.folder / family).exists():
                    self.save(family, FAMILIES[family]())
                self.run_command(model=family)


class OnItsWay(CommandTest):
    def test_lines(self):
        with unittest.mock.patch.object(text_pass, "PIECE_TOKENS", 33), \
                unittest.mock.patch.object(_progress_lines, "INTERVAL_S", 0):
            code, out, err = self.run_command()
            self.assertRegex(out, r"40 decode steps, 3 layers")
            shares = [f"{done} of 110 tokens, {share} %" for done, share in ((33, 30), (66, 60), (99, 90))]
            lines = "".join(rf"kvplace-capture: capture: {share}, about \d+ s left\n" for share in shares)
            self.assertRegex(err, rf"\A{lines}\Z")
            self.assertEqual(self.run_command("--quiet")[2], "")
        self.assertEqual(self.run_command()[2], "")  # done before the first line is due

    def test_durations(self):
        for seconds, text in ((0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"),
                              (7499, "2 h 4 min")):
            self.assertEqual(_progress_lines.duration(seconds), text)

    def test_flags_reach_the_trace(self):
        code, _, err = self.run_command("--without-experts", model="mixtral")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(kvplace.Trace(self.out).experts, 0)
        self.assertEqual(self.run_command(model="mixtral")[0], 0)
        self.assertEqual(kvplace.Trace(self.out).experts, 6)
        self.assertEqual(self.run_command(model="deepseek-v3.2", **{"--select": "indexer"})[0], 0)
        self.assertEqual(kvplace.Trace(self.out).selection, "indexer:k=12")

    def test_the_weights_are_those_of_the_folder(self):
        saved = tiny_model("llama", dtype=torch.float32)
        loaded, _ = load_model(self.folder / "llama")
        for name, value in saved.state_dict().items():
            self.assertTrue(torch.equal(value, loaded.state_dict()[name]), name)


if __name__ == "__main__":
    unittest.main()
