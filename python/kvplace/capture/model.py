"""Which models can be captured, and what capture has to know of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from .._errors import BadInput
from .hook import AttentionCall, attached
from .routers import Choice, expert_count, watched_routers

_FITTING = "models that can be captured are decoders like Llama, Qwen, Mistral, Mixtral, Gemma, Gemma 3 and SmolLM"


@dataclass(frozen=True)
class DecoderLayer:
    """The attention of one layer."""

    query_heads: int
    kv_heads: int
    head_dim: int
    scale: float  #: of q.k in the softmax
    window: int | None  #: tokens a sliding-window layer sees, the current one included; None: all

    @property
    def kv_bytes_per_token(self) -> int:
        """With keys and values kept in 16 bits."""
        return 2 * 2 * self.kv_heads * self.head_dim


@dataclass(frozen=True)
class Decoder:
    """A model that can be captured."""

    kind: str  #: its class
    layers: tuple[DecoderLayer, ...]
    context: int | None  #: tokens it was made for, if it says
    experts: int  #: experts per layer; 0 for a dense model
    experts_per_token: int  #: experts that a layer with a router chooses for a token
    router_layers: frozenset[int]  #: layers that choose experts


def examine(model: Any) -> Decoder:
    """Finds out by a forward call of two tokens whether, and how, a model can be captured.

    Raises BadInput, saying what the model lacks.
    """
    kind = type(model).__name__
    config = getattr(model, "config", None)
    if config is None or not hasattr(model, "set_attn_implementation"):
        raise BadInput(f"{kind} is no model of transformers (it has no config and set_attn_implementation); {_FITTING}")
    if getattr(config, "is_encoder_decoder", False):
        raise BadInput(f"{kind} has an encoder; capture needs a decoder alone: {_FITTING}")
    if not model._can_set_attn_implementation():
        raise BadInput(
            f"{kind} does not call its attention through transformers' AttentionInterface, so there is nothing that a "
            f"capture could hook into; {_FITTING}"
        )
    text = config.get_text_config(decoder=True)
    kinds = set(getattr(text, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}
    if kinds:
        raise BadInput(
            f"{kind} has layers of kind {', '.join(sorted(kinds))}, whose KV cache is not read token by token; "
            f"{_FITTING}"
        )
    calls, routers = _probe(model, expert_count(text))
    expected = int(text.num_hidden_layers)
    if sorted(calls) != list(range(expected)):
        raise BadInput(
            f"{kind}: only {len(calls)} of its {expected} layers call their attention through transformers' "
            f"AttentionInterface with a layer_idx; {_FITTING}"
        )
    layers = tuple(calls[index] for index in range(expected))
    experts = expert_count(text)
    if experts and not routers:
        raise BadInput(f"{kind} has {experts} experts, but no router that shows its choices (a module named ...Router "
                       f"which answers with the experts' numbers); {_FITTING}")
    context = getattr(text, "max_position_embeddings", None)
    return Decoder(
        kind, layers, int(context) if context else None, experts, max(routers.values(), default=0), frozenset(routers)
    )


def _probe(model: Any, experts: int) -> tuple[dict[int, DecoderLayer], dict[int, int]]:
    kind = type(model).__name__
    calls: dict[int, DecoderLayer] = {}
    routers: dict[int, int] = {}

    def receive(call: AttentionCall) -> None:
        calls[call.layer] = _layer(kind, call)

    def chose(layer: int, choice: Choice) -> None:
        routers[layer] = choice.chosen.shape[1]

    tokens = torch.zeros((1, 2), dtype=torch.long, device=model.device)
    with torch.no_grad(), attached(model, receive), watched_routers(model, experts, chose):
        model(input_ids=tokens, use_cache=True)
    return calls, routers


def _layer(kind: str, call: AttentionCall) -> DecoderLayer:
    for name, what in (("softcap", "caps its attention scores"), ("s_aux", "adds learned attention sinks"),
                       ("position_bias", "adds a position bias to its attention scores")):
        if call.options.get(name) is not None:
            raise BadInput(f"{kind}: layer {call.layer} {what} ({name}), which selection does not know how to score; "
                           f"{_FITTING}")
    query_heads, head_dim = call.query.shape[1], call.query.shape[3]
    kv_heads = call.key.shape[1]
    if call.key.shape[3] != head_dim or query_heads % kv_heads:
        raise BadInput(
            f"{kind}: layer {call.layer} has queries {tuple(call.query.shape)} and keys {tuple(call.key.shape)}; a whole "
            "number of query heads per KV head and one head dim are needed"
        )
    window = call.options.get("sliding_window")
    return DecoderLayer(query_heads, kv_heads, head_dim, call.scale, int(window) if window else None)
