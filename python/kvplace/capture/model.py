"""Which models can be captured, and what capture has to know of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from .._errors import BadInput
from .hook import AttentionCall, attached
from .routers import Choice, expert_count, watched_routers

_FITTING = (
    "models that can be captured are decoders like Llama, Qwen, Mistral, Mixtral, Gemma, gpt-oss, SmolLM and DeepSeek"
)

#: Kinds of transformers' layer_types that keep a state of fixed size, or the last few tokens, in place of keys and values
#: per token: there are no blocks to choose from, and they are left out.
_WITHOUT_KV = {"linear_attention", "conv", "mamba", "mamba2", "recurrent", "moe", "mlp"}
_COMPRESSED = "keep one cache entry for several tokens, so what they read are not blocks of tokens"
#: Kinds that are refused.
_REASONS = {
    "chunked_attention": "attend to their own chunk of the text, where selection knows full attention and windows only",
    "compressed_sparse_attention": _COMPRESSED,
    "heavily_compressed_attention": _COMPRESSED,
}


@dataclass(frozen=True)
class DecoderLayer:
    """The attention of one layer."""

    query_heads: int
    kv_heads: int
    head_dim: int
    scale: float  #: of q.k in the softmax
    window: int | None  #: tokens a sliding-window layer sees, the current one included; None: all
    latent_dim: int = 0  #: of MLA's compressed KV; 0: keys and values of every KV head are cached
    rope_dim: int = 0  #: of MLA's rotary key, cached beside it
    softcap: float | None = None  #: what scores are capped at
    sinks: tuple[float, ...] = ()  #: of each query head a score in the softmax that stands for no token

    @property
    def kv_bytes_per_token(self) -> int:
        """Of what the KV cache holds, in 16 bits."""
        if self.latent_dim:
            return 2 * (self.latent_dim + self.rope_dim)
        return 2 * 2 * self.kv_heads * self.head_dim


@dataclass(frozen=True)
class Decoder:
    """A model that can be captured."""

    kind: str  #: its class
    layers: tuple[DecoderLayer, ...]  #: those with attention
    numbers: tuple[int, ...]  #: the model's numbers of them
    model_layers: int  #: of the model, with those that keep no keys and values
    context: int | None  #: tokens it was made for, if it says
    experts: int  #: experts per layer; 0 for a dense model
    experts_per_token: int  #: experts that a layer with a router chooses for a token
    router_layers: frozenset[int]  #: layers whose choices of experts are captured
    has_indexers: bool = False  #: layers that let an indexer of their own choose what they read
    index_topk: int = 0  #: tokens that an indexer chooses per step, where every layer reads such a choice; else 0
    index_scores: bool = False  #: whether the indexers' scores can be seen

    @property
    def expert_blocks(self) -> int:
        """Expert blocks per layer of its traces."""
        return self.experts if self.router_layers else 0


def examine(model: Any, *, without_experts: bool = False) -> Decoder:
    """Finds out by a forward call of two tokens whether, and how, a model can be captured.

    Raises BadInput, saying what the model lacks.
    """
    kind = type(model).__name__
    config = getattr(model, "config", None)
    if config is None or not hasattr(model, "set_attn_implementation"):
        raise BadInput(f"{kind} is no model of transformers (it has no config and set_attn_implementation); {_FITTING}")
    text = _check_config(kind, config)
    if not model._can_set_attn_implementation():
        raise BadInput(
            f"{kind} does not call its attention through transformers' AttentionInterface, so there is nothing that a "
            f"capture could hook into; {_FITTING}"
        )
    calls, routers = _probe(model, 0 if without_experts else expert_count(text))
    total = int(text.num_hidden_layers)
    expected = _layers_with_attention(text, total)
    if sorted(calls) != expected or not calls:
        raise BadInput(
            f"{kind}: only {len(calls)} of its {len(expected)} layers call their attention through transformers' "
            f"AttentionInterface with a layer_idx; {_FITTING}"
        )
    layers = tuple(_layer(kind, text, calls[number]) for number in expected)
    experts = expert_count(text)
    if experts and not routers and not without_experts:
        raise BadInput(f"{kind} has {experts} experts, but no router that shows its choices (a module named ...Router "
                       "which answers with the experts' numbers); --without-experts, or without_experts=True, captures "
                       "its KV blocks alone")
    context = getattr(text, "max_position_embeddings", None)
    chosen = [call.chosen_by_model is not None for call in calls.values()]
    return Decoder(
        kind,
        layers,
        tuple(expected),
        total,
        int(context) if context else None,
        experts,
        max(routers.values(), default=0),
        frozenset(routers),
        any(chosen),
        int(getattr(text, "index_topk", 0) or 0) if all(chosen) else 0,
        all(chosen) and all(call.index_scores is not None for call in calls.values()),
    )


def check_weights(model: Any) -> None:
    """Raises BadInput for a model that has no weights to run with."""
    device = getattr(model, "device", None)
    if device is not None and device.type == "meta":
        raise BadInput(f"{type(model).__name__} has no weights (it is on the device meta); load them first")


def _check_config(kind: str, config: Any) -> Any:
    """The configuration of the text decoder, if it is one of layers that can be captured."""
    if getattr(config, "is_encoder_decoder", False):
        raise BadInput(f"{kind} has an encoder; capture needs a decoder alone: {_FITTING}")
    text = config.get_text_config(decoder=True)
    kinds = set(_kinds(text))
    if kinds and kinds <= _WITHOUT_KV:
        raise BadInput(f"{kind}: its {' and '.join(sorted(kinds))} layers keep a state of fixed size in place of keys and "
                       f"values per token, so there are no blocks to choose from; {_FITTING}")
    other = sorted(kinds & set(_REASONS))
    if other:
        reasons = "; ".join(f"{name} layers {_REASONS[name]}" for name in other)
        raise BadInput(f"{kind}: its {reasons}; {_FITTING}")
    return text


def _kinds(text: Any) -> list[str]:
    """Of each layer, if the configuration says."""
    for name in ("layer_types", "layers_block_type"):
        kinds = getattr(text, name, None)
        if kinds:
            return list(kinds)
    return []


def _layers_with_attention(text: Any, layers: int) -> list[int]:
    """Numbers of the layers that keep keys and values."""
    kinds = _kinds(text)
    return [number for number in range(layers) if number >= len(kinds) or kinds[number] not in _WITHOUT_KV]


def _probe(model: Any, experts: int) -> tuple[dict[int, AttentionCall], dict[int, int]]:
    calls: dict[int, AttentionCall] = {}
    routers: dict[int, int] = {}

    def receive(call: AttentionCall) -> None:
        _check_call(type(model).__name__, call)
        calls[call.layer] = call

    def chose(layer: int, choice: Choice) -> None:
        routers[layer] = choice.chosen.shape[1]

    tokens = torch.zeros((1, 2), dtype=torch.long, device=model.device)
    with torch.no_grad(), attached(model, receive), watched_routers(model, experts, chose):
        model(input_ids=tokens, use_cache=True)
    return calls, routers


def _check_call(kind: str, call: AttentionCall) -> None:
    if call.options.get("position_bias") is not None:
        raise BadInput(f"{kind}: layer {call.layer} adds a position bias to its attention scores (position_bias), which "
                       f"selection does not know how to score; {_FITTING}")
    if call.key.shape[3] != call.query.shape[3] or call.query.shape[1] % call.key.shape[1]:
        raise BadInput(
            f"{kind}: layer {call.layer} has queries {tuple(call.query.shape)} and keys {tuple(call.key.shape)}; a whole "
            "number of query heads per KV head and one head dim are needed"
        )


def _layer(kind: str, text: Any, call: AttentionCall) -> DecoderLayer:
    kinds = _kinds(text)
    if call.layer < len(kinds) and kinds[call.layer] == "indexed_attention" and call.chosen_by_model is None:
        raise BadInput(f"{kind}: layer {call.layer} lets an indexer choose the tokens it reads, but does not hand the "
                       f"choice to its attention function, so that it cannot be seen; {_FITTING}")
    window = call.options.get("sliding_window")
    sinks = call.sinks
    known = () if sinks is None else (0.0,) * len(sinks) if sinks.is_meta else tuple(sinks.float().tolist())
    return DecoderLayer(
        call.query.shape[1],
        call.key.shape[1],
        call.query.shape[3],
        call.scale,
        int(window) if window else None,
        int(getattr(text, "kv_lora_rank", 0) or 0),
        int(getattr(text, "qk_rope_head_dim", 0) or 0),
        call.softcap,
        known,
    )
