"""Which model preset of kvplace a captured model is."""

from __future__ import annotations

from .._presets import list_models
from .model import Decoder


def preset_of(decoder: Decoder) -> str:
    """The one preset with the model's layers, attention shape and experts; "" if there is none, or more than one."""
    layer = decoder.layers[0]
    if any(other != layer for other in decoder.layers) or layer.window is not None:
        return ""
    shape = {
        "layers": len(decoder.layers),
        "attention.query_heads": layer.query_heads,
        "experts.count": decoder.experts,
        "attention.sparse_top_k": decoder.index_topk,
    }
    if layer.latent_dim:
        shape |= {"attention.latent_dim": layer.latent_dim, "attention.rope_dim": layer.rope_dim}
    else:
        shape |= {"attention.kv_heads": layer.kv_heads, "attention.head_dim": layer.head_dim}
    fitting = [
        str(preset["name"])
        for preset in list_models()
        if all(str(preset.get(key, 0)) == str(value) for key, value in shape.items())
    ]
    return fitting[0] if len(fitting) == 1 else ""
