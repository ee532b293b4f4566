"""Attention restricted to the blocks that were selected, so that the selection changes what follows."""

from __future__ import annotations

import numpy as np
import torch

from .hook import AttentionCall
from .scored import scored_attention
from .steps import Ids, LayerSteps


def _token_indices(blocks: Ids, block_tokens: int, tokens: int) -> torch.Tensor:
    indices = (blocks.astype(np.int64)[:, None] * block_tokens + np.arange(block_tokens)).ravel()
    return torch.from_numpy(indices[indices < tokens])


def restricted_attention(call: AttentionCall, chosen: LayerSteps, block_tokens: int) -> torch.Tensor:
    """The output, [1, 1, query heads, head dim], of one decode step that attends to the selected tokens only.

    Where heads have sets of their own, each head attends to its own.
    """
    if chosen.heads == 0 or chosen.head_sets is None:
        sets = [np.asarray(chosen.sets[0])]
    else:
        sets = [np.asarray(chosen.head_sets[head]) for head in range(chosen.heads)]
    _, query_heads, _, head_dim = call.query.shape
    kv_heads, tokens = call.key.shape[1], call.key.shape[2]
    group = query_heads // kv_heads
    heads_of_set = query_heads // len(sets)
    outputs = []
    for index, blocks in enumerate(sets):
        heads = slice(index * heads_of_set, (index + 1) * heads_of_set)
        seen = _token_indices(blocks, block_tokens, tokens).to(call.key.device)
        used = torch.arange(heads.start, heads.stop, device=call.key.device) // group
        mask = None
        if call.mask is not None:
            mask = call.mask[..., seen]
            mask = mask[:, heads] if mask.shape[1] > 1 else mask
        query, key, value = call.query[:, heads], call.key[:, :, seen][:, used], call.value[:, :, seen][:, used]
        if call.softcap is None and call.sinks is None:
            outputs.append(
                torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=call.scale)
            )
        else:
            sinks = None if call.sinks is None else call.sinks[heads]
            outputs.append(scored_attention(query, key, value, mask, call.scale, call.softcap, sinks))
    return torch.cat(outputs, dim=1).transpose(1, 2).contiguous()
