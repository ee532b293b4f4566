"""What the tests of capture share: a folder per test, and the two ways to capture a text."""

import tempfile
import unittest
from pathlib import Path

import torch
from tiny_models import CharacterTokenizer, random_text, token_ids

from kvplace.capture import capture, capture_text

PROMPT, DECODED = 70, 40
TOKENIZER = CharacterTokenizer()


class CaptureTest(unittest.TestCase):
    def setUp(self):
        torch.set_num_threads(1)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.text = random_text(PROMPT + DECODED)

    def new_file(self, name):
        """A path that no trace of this test lies at: a trace that is still open keeps its file from being replaced."""
        self.num_files = getattr(self, "num_files", 0) + 1
        return self.folder / f"{self.num_files}-{name}"

    def pass_over(self, model, name="pass.kvt", text=None, **options):
        options = {"prompt_tokens": PROMPT, "decode_tokens": DECODED, "threads": 1, **options}
        return capture_text(model, TOKENIZER, self.text if text is None else text, out=self.new_file(name), **options)

    def step_by_step(self, model, name="steps.kvt", **options):
        """Decodes the text's own tokens one by one, as generation would if it chose them."""
        tokens = token_ids(self.text)
        with torch.no_grad(), capture(model, out=self.new_file(name), threads=1, **options) as captured:
            cache = model(tokens[:, :PROMPT], use_cache=True).past_key_values
            for at in range(PROMPT, PROMPT + DECODED):
                cache = model(tokens[:, at : at + 1], past_key_values=cache, use_cache=True).past_key_values
        return captured.trace
