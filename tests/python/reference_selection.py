"""Selection methods in numpy and double precision, written to be read: what kvplace.select must agree with."""

from __future__ import annotations

import numpy as np


def attention(q, k, scale):
    """[query heads, tokens]: the softmax of one query [query heads, dim] over the keys [KV heads, tokens, dim]."""
    keys = np.repeat(k, len(q) // len(k), axis=0).astype(float)
    logits = np.einsum("hd,htd->ht", q.astype(float), keys) * scale
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def by_block(values, block, combine):
    return np.stack([combine(values[..., i : i + block], axis=-1) for i in range(0, values.shape[-1], block)], axis=-1)


def mass(q, k, scale, block):
    """[blocks]: attention summed over query heads."""
    return by_block(attention(q, k, scale).sum(axis=0), block, np.sum)


def quest(q, k, block):
    """[blocks]: Quest's bound of the group-mean query, summed over KV heads."""
    groups = q.astype(float).reshape(len(k), -1, q.shape[-1]).mean(axis=1)
    return sum(_bound(query, keys, block) for query, keys in zip(groups, k, strict=True))


def quest_per_head(q, k, block):
    """[query heads, blocks]: Quest's bound of each query head."""
    group = len(q) // len(k)
    return np.stack([_bound(query.astype(float), k[head // group], block) for head, query in enumerate(q)])


def _bound(query, keys, block):
    pages = [keys[i : i + block].astype(float) for i in range(0, len(keys), block)]
    return np.array([np.maximum(query * page.min(axis=0), query * page.max(axis=0)).sum() for page in pages])


def index_scores(q, k, scale, block):
    """[blocks]: the block's highest sum over heads of ReLU(q.k)."""
    keys = np.repeat(k, len(q) // len(k), axis=0).astype(float)
    products = np.einsum("hd,htd->ht", q.astype(float), keys)
    return by_block(np.maximum(products, 0).sum(axis=0), block, np.max)


def best(scores, count):
    """Ids by descending score, the block being written (the last one) in any case; equal scores: the lower id first."""
    order = np.lexsort((np.arange(len(scores)), -scores))
    chosen = order[:count]
    if len(scores) - 1 not in chosen:
        chosen = np.append(chosen[:-1], len(scores) - 1)
    return chosen


def top_p(scores, share):
    """The fewest best blocks that hold the share of the total, the last one among them in any case."""
    last = len(scores) - 1
    order = [last, *(i for i in np.lexsort((np.arange(len(scores)), -scores)) if i != last)]
    held = np.cumsum(scores[order])
    return np.array(order[: int(np.searchsorted(held, share * scores.sum() - 1e-12)) + 1])
