"""Selection for all layers of a decoder: queries and keys of the hook in, blocks out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from .._errors import BadInput, Error
from ..select import Selector
from .hook import AttentionCall
from .model import Decoder, DecoderLayer

Ids = NDArray[np.uint32]
_NO_IDS: Ids = np.zeros(0, np.uint32)


class LayerSteps(NamedTuple):
    """One layer over consecutive decode steps."""

    sets: Sequence[Ids]  #: blocks read in each step, ascending
    rankings: Sequence[Ids] | None  #: best first, the set's before all others
    heads: int = 0  #: sets per step that were chosen independently; 0: only the layer's
    head_sets: Sequence[Ids] | None = None  #: list step * heads + head


class _LayerSelector(Protocol):
    """What a layer's selector does, as kvplace.select.Selector."""

    @property
    def tokens(self) -> int: ...
    @property
    def observed_queries(self) -> int: ...
    def append(self, k: Any) -> None: ...
    def observe(self, q: Any, first_position: int) -> None: ...
    def select(self, q: Any, *, first_position: int, ranking_depth: int) -> Any: ...


class _WindowSteps(NamedTuple):
    sets: list[Ids]
    rankings: list[Ids] | None
    heads: int = 0
    head_sets: None = None


class _SlidingWindow:
    """A sliding-window layer reads its window, whatever is selected elsewhere; the newest block ranks first."""

    observed_queries = 0

    def __init__(self, window: int, block_tokens: int) -> None:
        self._window = window
        self._block_tokens = block_tokens
        self.tokens = 0

    def append(self, k: NDArray[Any]) -> None:
        self.tokens += k.shape[1]

    def observe(self, q: Any, first_position: int) -> None:
        pass

    def select(self, q: NDArray[Any], *, first_position: int, ranking_depth: int) -> _WindowSteps:
        sets, rankings = [], []
        for position in range(first_position, first_position + q.shape[1]):
            last = position // self._block_tokens
            first = max(0, position - self._window + 1) // self._block_tokens
            sets.append(np.arange(first, last + 1, dtype=np.uint32))
            depth = max(ranking_depth, last + 1 - first)
            rankings.append(np.arange(last, max(-1, last - depth), -1, dtype=np.int64).astype(np.uint32))
        return _WindowSteps(sets, rankings if ranking_depth else None)


def as_array(values: torch.Tensor) -> NDArray[Any]:
    """[heads, tokens, head dim] as selection takes it; float64 is rounded to float32."""
    if not values.is_floating_point():
        raise BadInput(f"queries and keys of type {values.dtype}; floating point is needed")
    values = values.detach().cpu()
    array: NDArray[Any] = (values if values.dtype in (torch.float32, torch.float16) else values.float()).numpy()
    return array


class Layers(Protocol):
    """What captures of KV blocks and captures of experts alone have in common."""

    method: str
    block_tokens: int  #: 0: no KV blocks are captured

    def take(self, call: AttentionCall, prompt_tokens: int | None) -> LayerSteps | None: ...
    def end_prompt(self) -> None: ...


def layers_for(
    decoder: Decoder, select: str, *, prompt_tokens: int | None, ranking_depth: int, threads: int
) -> Layers:
    """The selectors that ``select`` names. With ``prompt_tokens`` the budget is checked against them at once."""
    if select.partition(":")[0] == "router":
        return ExpertsAlone(decoder, select, ranking_depth)
    layers = SelectingLayers(decoder, select, ranking_depth=ranking_depth, threads=threads)
    if prompt_tokens is not None:
        layers.check_budget(prompt_tokens)
    return layers


class ExpertsAlone:
    """The routers' choices are captured, and no KV blocks."""

    block_tokens = 0

    def __init__(self, decoder: Decoder, select: str, ranking_depth: int) -> None:
        if not decoder.experts:
            raise BadInput(f"{select}: {decoder.kind} is a dense model; it has no experts that a router could choose")
        own = f"router:k={decoder.experts_per_token}"
        if ":" in select and Selector(select, query_heads=1, kv_heads=1, head_dim=1).method != own:
            raise BadInput(f"{select}: {decoder.kind} chooses {decoder.experts_per_token} experts per token: {own}")
        self.method = own
        self._ranked = ranking_depth > 0
        self._tokens = [0] * len(decoder.layers)

    def take(self, call: AttentionCall, prompt_tokens: int | None) -> LayerSteps | None:
        if call.query.shape[0] != 1:
            raise BadInput(f"a batch of {call.query.shape[0]}: capture takes one request at a time")
        count, before = call.query.shape[2], self._tokens[call.layer]
        self._tokens[call.layer] += count
        first = count if prompt_tokens is None else min(count, max(0, prompt_tokens - before))
        if first == count:
            return None
        nothing = [_NO_IDS] * (count - first)
        return LayerSteps(nothing, nothing if self._ranked else None)

    def end_prompt(self) -> None:
        pass


class SelectingLayers:
    """A selector per layer, fed by the hook's calls."""

    def __init__(self, decoder: Decoder, select: str, *, ranking_depth: int, threads: int) -> None:
        self.decoder = decoder
        self.ranking_depth = ranking_depth
        self._threads = threads
        self._select = select
        first = self._selector(decoder.layers[0])
        self.method: str = first.method
        self.block_tokens: int = first.block_tokens
        if self.block_tokens == 0:
            raise BadInput(f"{select}: selects no KV blocks")
        if first.needs == "scores":
            raise BadInput(f"{select}: needs scores that an attention function does not see")
        self._layers: list[_LayerSelector] = [self._make(layer) for layer in decoder.layers]
        self._tails: list[torch.Tensor | None] = [None] * len(decoder.layers)

    def _selector(self, layer: DecoderLayer) -> Any:
        return Selector(
            self._select,
            query_heads=layer.query_heads,
            kv_heads=layer.kv_heads,
            head_dim=layer.head_dim,
            scale=layer.scale,
            threads=self._threads,
        )

    def _make(self, layer: DecoderLayer) -> _LayerSelector:
        if layer.window is not None:
            return _SlidingWindow(layer.window, self.block_tokens)
        selector: _LayerSelector = self._selector(layer)
        return selector

    def check_budget(self, prompt_tokens: int) -> None:
        """Raises at once what selecting at the first decode step would raise: a budget over the blocks there are."""
        trial = Selector(self._select, query_heads=1, kv_heads=1, head_dim=1, threads=1)
        trial.append(np.zeros((1, prompt_tokens + 1, 1), np.float32))
        queries = np.zeros((1, prompt_tokens + 1, 1), np.float32)
        if trial.observed_queries:
            trial.observe(queries[:, :prompt_tokens], first_position=0)
        trial.select(queries[:, :1], first_position=prompt_tokens)

    def tokens(self, layer: int) -> int:
        return self._layers[layer].tokens

    def sees_whole_context(self, layer: int) -> bool:
        return self.decoder.layers[layer].window is None

    def take(self, call: AttentionCall, prompt_tokens: int | None) -> LayerSteps | None:
        """Appends the call's keys and selects for those of its tokens that are decode steps: from position
        ``prompt_tokens`` on, or none if that is None. Returns None if none is.
        """
        layer = self._layers[call.layer]
        count, before = call.query.shape[2], layer.tokens
        if call.query.shape[0] != 1:
            raise BadInput(f"a batch of {call.query.shape[0]}: capture takes one request at a time")
        if call.key.shape[2] < count or (self.sees_whole_context(call.layer) and call.key.shape[2] != before + count):
            raise BadInput(
                f"layer {call.layer}: the cache returned {call.key.shape[2]} keys where {before + count} tokens have "
                "been read; a cache that keeps all of them is needed (no static, offloaded or evicting one)"
            )
        try:
            layer.append(as_array(call.key[0, :, call.key.shape[2] - count :]))
            first = count if prompt_tokens is None else min(count, max(0, prompt_tokens - before))
            if layer.observed_queries and first > 0:
                self._observe(call, layer, call.query[0, :, :first], before, before + first == prompt_tokens)
            if first == count:
                return None
            chosen = layer.select(
                as_array(call.query[0, :, first:]), first_position=before + first, ranking_depth=self.ranking_depth
            )
        except Error as error:
            raise type(error)(f"layer {call.layer}, positions {before} to {before + count - 1}: {error}") from error
        return LayerSteps(chosen.sets, chosen.rankings, chosen.heads, chosen.head_sets)

    def end_prompt(self) -> None:
        """Says that the prompt has ended where the calls so far did; for calls without ``prompt_tokens``."""
        for index, layer in enumerate(self._layers):
            tail = self._tails[index]
            if layer.observed_queries and tail is not None:
                layer.observe(as_array(tail), first_position=layer.tokens - tail.shape[1])
                self._tails[index] = None

    def _observe(
        self, call: AttentionCall, layer: _LayerSelector, queries: torch.Tensor, before: int, ends: bool
    ) -> None:
        tail = self._tails[call.layer]
        tail = queries if tail is None else torch.cat([tail, queries], dim=1)
        tail = tail[:, -layer.observed_queries :].clone()
        self._tails[call.layer] = tail
        if ends:
            layer.observe(as_array(tail), first_position=before + queries.shape[1] - tail.shape[1])
            self._tails[call.layer] = None
