"""The hook: an attention function that shows each call to whoever captures, and then attends as the model would.

transformers hands its attention function the queries after RoPE and the keys that the cache returned, KV heads not yet
repeated: all that selection needs. The function is registered under one name with the attention functions and with the
mask functions; under the former alone the mask would silently be None.

A layer with an indexer hands over the tokens that the indexer chose and leaves it to the function to read no others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from .indexers import IndexScores, watched_indexers
from .scored import scored_attention, sinks_of, softcap_of

NAME = "kvplace"


@dataclass(frozen=True)
class AttentionCall:
    """One layer's attention over the tokens of one forward call."""

    layer: int  #: the model's number of it
    query: torch.Tensor  #: [batch, query heads, tokens, head dim], after RoPE
    key: torch.Tensor  #: [batch, KV heads, tokens so far, head dim], after RoPE
    value: torch.Tensor  #: as key; the head dim may differ
    mask: torch.Tensor | None
    options: dict[str, Any]  #: what the model passes besides: scaling, sliding_window, softcap, ...
    index_scores: torch.Tensor | None = None  #: [batch, tokens, tokens so far] of the indexer that chose, if seen

    @property
    def scale(self) -> float:
        scaling = self.options.get("scaling")
        return float(scaling) if scaling is not None else float(self.query.shape[-1]) ** -0.5

    @property
    def softcap(self) -> float | None:
        """What the layer caps its scores at, if it does."""
        return softcap_of(self.options)

    @property
    def sinks(self) -> torch.Tensor | None:
        """[query heads]: scores in the softmax that stand for no token, if the layer has them."""
        return sinks_of(self.options)

    @property
    def chosen_by_model(self) -> torch.Tensor | None:
        """[batch, tokens, k]: positions that the model's own indexer chose for each token, its own or an earlier
        layer's. Where fewer than k tokens are seen, later positions fill the rest. None: the layer has no indexer."""
        chosen = self.options.get("indices")
        return chosen if isinstance(chosen, torch.Tensor) and chosen.dim() == 3 else None


#: Sees a call. What it returns, [batch, tokens, query heads, head dim], is taken for the attention's output; None lets
#: the call attend to everything that the model attends to.
Receiver = Callable[[AttentionCall], "torch.Tensor | None"]

_receivers: dict[int, tuple[Receiver, IndexScores]] = {}


def _chosen_mask(mask: torch.Tensor | None, chosen: torch.Tensor, tokens: int) -> torch.Tensor:
    """The attention mask, causal where ``mask`` is, that lets through the chosen positions only."""
    allowed = torch.zeros((*chosen.shape[:2], tokens), dtype=torch.bool, device=chosen.device)
    allowed = allowed.scatter(-1, chosen.long(), True).unsqueeze(1)
    if mask is None:
        return allowed
    return mask & allowed if mask.dtype == torch.bool else mask.masked_fill(~allowed, torch.finfo(mask.dtype).min)


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    receiver, scores = _receivers.get(id(module), (None, None))
    if receiver is not None:
        layer: Any = module.layer_idx
        call = AttentionCall(int(layer), query, key, value, attention_mask, options, scores and scores.latest)
        output = receiver(call)
        if output is not None:
            return output, None
    chosen = options.get("indices")
    mask = attention_mask if chosen is None else _chosen_mask(attention_mask, chosen, key.shape[2])
    softcap, sinks = softcap_of(options), sinks_of(options)
    if softcap is not None or sinks is not None:
        scaling = options.get("scaling")
        scale = float(scaling) if scaling is not None else float(query.shape[-1]) ** -0.5
        group = query.shape[1] // key.shape[1]
        output = scored_attention(query, key.repeat_interleave(group, dim=1), value.repeat_interleave(group, dim=1), mask,
                                  scale, softcap, sinks)
        return output.transpose(1, 2).contiguous(), None
    output, _ = sdpa_attention_forward(module, query, key, value, mask, **options)
    return output, None


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


@contextlib.contextmanager
def attached(model: Any, receiver: Receiver) -> Iterator[None]:
    """While the context lasts, every attention call of the model's layers is shown to ``receiver``.

    The model is in evaluation mode meanwhile; afterwards it is as it was.
    """
    modules = [module for module in model.modules() if isinstance(getattr(module, "layer_idx", None), int)]
    implementation = model.config._attn_implementation
    training = model.training
    with watched_indexers(modules) as scores:
        try:
            model.eval()
            model.set_attn_implementation(NAME)
            _receivers.update((id(module), (receiver, scores)) for module in modules)
            yield
        finally:
            for module in modules:
                _receivers.pop(id(module), None)
            model.set_attn_implementation(implementation)
            model.train(training)
