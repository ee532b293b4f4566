"""Attention whose scores are capped (Gemma 2) or that has learned sinks (gpt-oss), which PyTorch's own does not know."""

from __future__ import annotations

from typing import Any

import torch


def softcap_of(options: dict[str, Any]) -> float | None:
    """What a layer caps its scores at, if it does."""
    cap = options.get("softcap")
    return float(cap) if cap is not None else None


def sinks_of(options: dict[str, Any]) -> torch.Tensor | None:
    """[query heads]: scores in the softmax that stand for no token, if the layer has them."""
    sinks = options.get("s_aux")
    return sinks if isinstance(sinks, torch.Tensor) else None


def scored_attention(
    query: torch.Tensor,  # [batch, heads, tokens, head dim]
    key: torch.Tensor,  # [batch, heads, tokens seen, head dim]
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
    softcap: float | None,
    sinks: torch.Tensor | None,  # of these heads
) -> torch.Tensor:
    """The output, [batch, heads, tokens, head dim]. Scores are in single precision at least, as the models compute them.

    No mask is a causal one, as for PyTorch's own attention in transformers.
    """
    tokens, seen = query.shape[2], key.shape[2]
    if mask is None and tokens > 1:
        mask = torch.ones((tokens, seen), dtype=torch.bool, device=query.device).tril(seen - tokens)
    precision = torch.promote_types(query.dtype, torch.float32)
    scores = (query @ key.transpose(-1, -2)).to(precision) * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    if sinks is not None:
        columns = sinks.to(precision).reshape(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        scores = torch.cat([scores, columns], dim=-1)
    weights = torch.softmax(scores, dim=-1)
    return (weights[..., :seen].to(value.dtype) @ value).contiguous()
