"""The preset that a captured model is taken for."""

import unittest

from kvplace.capture import Decoder, DecoderLayer
from kvplace.capture.presets import preset_of


def decoder(layers, query_heads, kv_heads, head_dim=128, experts=0, window=None):
    layer = DecoderLayer(query_heads, kv_heads, head_dim, head_dim**-0.5, window)
    return Decoder("Model", (layer,) * layers, tuple(range(layers)), layers, None, experts, min(experts, 2), frozenset())


class PresetOf(unittest.TestCase):
    def test_shapes(self):
        self.assertEqual(preset_of(decoder(30, 9, 3, 64)), "smollm2-135m")
        self.assertEqual(preset_of(decoder(32, 32, 8)), "llama-3.1-8b")
        self.assertEqual(preset_of(decoder(32, 32, 32)), "llama-3.1-8b-mha")
        self.assertEqual(preset_of(decoder(32, 32, 8, experts=8)), "mixtral-8x7b")
        self.assertEqual(preset_of(decoder(48, 32, 4, experts=128)), "qwen3-30b-a3b")

    def test_others_have_none(self):
        self.assertEqual(preset_of(decoder(30, 9, 9, 64)), "")
        self.assertEqual(preset_of(decoder(32, 32, 8, experts=16)), "")
        self.assertEqual(preset_of(decoder(32, 32, 8, window=4096)), "")


if __name__ == "__main__":
    unittest.main()
