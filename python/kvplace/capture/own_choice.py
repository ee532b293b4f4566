"""Captures of what a model chooses by itself: experts by its routers, tokens by its indexers."""

from __future__ import annotations

import numpy as np

from .._capture_checks import indexer_k
from .._errors import BadInput
from ..select import Selector
from .hook import AttentionCall
from .model import Decoder
from .steps import NO_IDS, Ids, LayerSteps, check_keys, decode_steps


class ExpertsAlone:
    """The routers' choices are captured, and no KV blocks."""

    block_tokens = 0

    def __init__(self, decoder: Decoder, select: str, ranking_depth: int) -> None:
        if not decoder.experts:
            raise BadInput(f"{select}: {decoder.kind} is a dense model; it has no experts that a router could choose")
        if not decoder.router_layers:
            raise BadInput(f"{select}: captures experts alone, which without_experts (--without-experts) leaves out")
        own = f"router:k={decoder.experts_per_token}"
        if ":" in select and Selector(select, query_heads=1, kv_heads=1, head_dim=1).method != own:
            raise BadInput(f"{select}: {decoder.kind} chooses {decoder.experts_per_token} experts per token: {own}")
        self.method = own
        self.numbers = tuple(range(decoder.model_layers))  # also those without attention may have experts
        self._ranked = ranking_depth > 0
        self._tokens = dict.fromkeys(decoder.numbers, 0)

    def take(self, call: AttentionCall, prompt_tokens: int | None) -> LayerSteps | None:
        count, before = call.query.shape[2], self._tokens[call.layer]
        check_keys(call, before, sees_all=False)
        self._tokens[call.layer] += count
        first = decode_steps(call, before, prompt_tokens)
        if first == count:
            return None
        nothing = [NO_IDS] * (count - first)
        return LayerSteps(nothing, nothing if self._ranked else None)

    def end_prompt(self) -> None:
        pass


class IndexersChoice:
    """What is read are the tokens that each layer's indexer chose; a layer that reuses another's choice reads the same.

    Rankings are by the indexer's scores. Nothing is forced: the token being decoded is read if it was chosen.
    """

    block_tokens = 1

    def __init__(self, decoder: Decoder, select: str, ranking_depth: int) -> None:
        if not decoder.index_topk:
            raise BadInput(f"{select}: not every layer of {decoder.kind} has an indexer that chooses what it reads, as "
                           "DeepSeek-V3.2's and GLM-5's have; docs/select.md names the methods for other models")
        wanted = indexer_k(select)
        self.method = f"indexer:k={decoder.index_topk}"
        if wanted is not None and wanted != decoder.index_topk:
            raise BadInput(f"{select}: {decoder.kind} chooses {decoder.index_topk} tokens per step: {self.method}")
        if ranking_depth and not decoder.index_scores:
            raise BadInput(f"{select}: the indexers of {decoder.kind} do not show their scores, so there is no ranking: "
                           "capture with a ranking depth of 0")
        self.numbers = decoder.numbers
        self._ranking_depth = ranking_depth
        self._tokens = dict.fromkeys(decoder.numbers, 0)

    def take(self, call: AttentionCall, prompt_tokens: int | None) -> LayerSteps | None:
        count, before = call.query.shape[2], self._tokens[call.layer]
        check_keys(call, before)
        self._tokens[call.layer] += count
        first = decode_steps(call, before, prompt_tokens)
        if first == count:
            return None
        if call.chosen_by_model is None or (self._ranking_depth and call.index_scores is None):
            raise BadInput(f"layer {call.layer}, position {before + first}: its indexer chose nothing that can be seen")
        chosen = call.chosen_by_model[0, first:].detach().cpu().numpy()
        sets = []
        for step, ids in enumerate(chosen):
            seen = ids[ids <= before + first + step]  # behind them are masked ones that fill up k
            sets.append(np.sort(seen).astype(np.uint32))
        if not self._ranking_depth or call.index_scores is None:
            return LayerSteps(sets, None)
        scores = call.index_scores[0, first:].detach().float().cpu().numpy()
        return LayerSteps(sets, [
            _ranking(ids, scores[step, : before + first + step + 1], self._ranking_depth)
            for step, ids in enumerate(sets)
        ])

    def end_prompt(self) -> None:
        pass


def _ranking(chosen: Ids, scores: np.ndarray, depth: int) -> Ids:
    """The chosen by score, then the others by score; equal scores: the lower id first."""
    others = np.setdiff1d(np.arange(scores.size, dtype=np.uint32), chosen)
    ordered = [ids[np.argsort(-scores[ids], kind="stable")] for ids in (chosen, others)]
    return np.concatenate(ordered)[: max(depth, chosen.size)]
