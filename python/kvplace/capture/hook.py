"""The hook: an attention function that shows each call to whoever captures, and then attends as SDPA does.

transformers hands its attention function the queries after RoPE and the keys that the cache returned, KV heads not yet
repeated: all that selection needs. The function is registered under one name with the attention functions and with the
mask functions; under the former alone the mask would silently be None.
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

NAME = "kvplace"


@dataclass(frozen=True)
class AttentionCall:
    """One layer's attention over the tokens of one forward call."""

    layer: int
    query: torch.Tensor  #: [batch, query heads, tokens, head dim], after RoPE
    key: torch.Tensor  #: [batch, KV heads, tokens so far, head dim], after RoPE
    value: torch.Tensor  #: as key; the head dim may differ
    mask: torch.Tensor | None
    options: dict[str, Any]  #: what the model passes besides: scaling, sliding_window, softcap, ...

    @property
    def scale(self) -> float:
        scaling = self.options.get("scaling")
        return float(scaling) if scaling is not None else float(self.query.shape[-1]) ** -0.5


#: Sees a call. What it returns, [batch, tokens, query heads, head dim], is taken for the attention's output; None lets
#: the call attend to everything.
Receiver = Callable[[AttentionCall], "torch.Tensor | None"]

_receivers: dict[int, Receiver] = {}


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    receiver = _receivers.get(id(module))
    if receiver is not None:
        layer: Any = module.layer_idx
        output = receiver(AttentionCall(int(layer), query, key, value, attention_mask, options))
        if output is not None:
            return output, None
    output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
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
    try:
        model.eval()
        model.set_attn_implementation(NAME)
        _receivers.update((id(module), receiver) for module in modules)
        yield
    finally:
        for module in modules:
            _receivers.pop(id(module), None)
        model.set_attn_implementation(implementation)
        model.train(training)
