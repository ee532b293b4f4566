"""Which model preset of kvplace a captured model is."""

from __future__ import annotations

from .model import Decoder

#: Attention shapes (layers, query heads, KV heads, head dim) that only one preset has.
_PRESETS = {
    (30, 9, 3, 64): "smollm2-135m",
    (32, 32, 8, 128): "llama-3.1-8b",
    (80, 64, 8, 128): "llama-3.1-70b",
    (36, 32, 8, 128): "qwen3-8b",
    (64, 64, 8, 128): "qwen3-32b",
    (48, 32, 4, 128): "qwen3-30b-a3b",
}


def preset_of(decoder: Decoder) -> str:
    """The preset's name, or "" if none has this shape."""
    layer = decoder.layers[0]
    shape = (len(decoder.layers), layer.query_heads, layer.kv_heads, layer.head_dim)
    if any(other != layer for other in decoder.layers):
        return ""
    if shape == (32, 32, 8, 128) and decoder.experts == 8:
        return "mixtral-8x7b"
    name = _PRESETS.get(shape, "")
    return name if bool(decoder.experts) == (name == "qwen3-30b-a3b") else ""
