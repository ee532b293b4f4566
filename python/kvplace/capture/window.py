"""Sliding-window layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .steps import Ids, LayerSelector, LayerSteps


class SlidingWindow:
    """The selector of a sliding-window layer.

    As long as the window holds the whole context the layer sees what any other does, and ``selector`` chooses. Once the
    context is longer the layer reads its window, whatever is selected elsewhere; the newest block ranks first.
    """

    def __init__(self, window: int, block_tokens: int, selector: LayerSelector | None) -> None:
        self._window = window
        self._block_tokens = block_tokens
        self._selector = selector
        self.tokens = 0

    @property
    def observed_queries(self) -> int:
        return self._selector.observed_queries if self._selector is not None else 0

    def append(self, k: NDArray[Any]) -> None:
        if self.tokens >= self._window:
            self._selector = None  # no later token has a use for it
        if self._selector is not None:
            self._selector.append(k)
        self.tokens += k.shape[1]

    def observe(self, q: Any, first_position: int) -> None:
        if self._selector is not None:
            self._selector.observe(q, first_position)

    def select(self, q: NDArray[Any], *, first_position: int, ranking_depth: int) -> LayerSteps:
        within = min(q.shape[1], max(0, self._window - first_position)) if self._selector is not None else 0
        sets: list[Ids] = []
        rankings: list[Ids] = []
        if within and self._selector is not None:
            chosen = self._selector.select(q[:, :within], first_position=first_position, ranking_depth=ranking_depth)
            if within == q.shape[1]:
                return LayerSteps(chosen.sets, chosen.rankings, chosen.heads, chosen.head_sets)
            sets += chosen.sets
            rankings += chosen.rankings or ()
        for position in range(first_position + within, first_position + q.shape[1]):
            last = position // self._block_tokens
            first = max(0, position - self._window + 1) // self._block_tokens
            sets.append(np.arange(first, last + 1, dtype=np.uint32))
            depth = max(ranking_depth, last + 1 - first)
            rankings.append(np.arange(last, max(-1, last - depth), -1, dtype=np.int64).astype(np.uint32))
        return LayerSteps(sets, rankings if ranking_depth else None, restricts=False)
