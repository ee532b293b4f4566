"""What the layers of a capture are fed with and what they yield."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .._errors import BadInput
from .hook import AttentionCall

Ids = NDArray[np.uint32]
NO_IDS: Ids = np.zeros(0, np.uint32)


class LayerSteps(NamedTuple):
    """One layer over consecutive decode steps."""

    sets: Sequence[Ids]  #: blocks read in each step, ascending
    rankings: Sequence[Ids] | None  #: best first, the set's before all others
    heads: int = 0  #: sets per step that were chosen independently; 0: only the layer's
    head_sets: Sequence[Ids] | None = None  #: list step * heads + head
    restricts: bool = True  #: False: the sets are what the layer sees in any case, as a sliding window's


class LayerSelector(Protocol):
    """What a layer's selector does, as kvplace.select.Selector."""

    @property
    def tokens(self) -> int: ...
    @property
    def observed_queries(self) -> int: ...
    def append(self, k: Any) -> None: ...
    def observe(self, q: Any, first_position: int) -> None: ...
    def select(self, q: Any, *, first_position: int, ranking_depth: int) -> Any: ...


def check_keys(call: AttentionCall, before: int, sees_all: bool = True) -> None:
    """Refuses a batch, and a cache that does not hold the keys of the ``before`` tokens read and of the call's own."""
    count, keys = call.query.shape[2], call.key.shape[2]
    if call.query.shape[0] != 1:
        raise BadInput(f"a batch of {call.query.shape[0]}: capture takes one request at a time")
    if keys < count or (sees_all and keys != before + count):
        raise BadInput(
            f"layer {call.layer}: the cache returned {keys} keys where {before + count} tokens have been read; a cache "
            "that keeps all of them is needed (no static, offloaded or evicting one)"
        )


def decode_steps(call: AttentionCall, before: int, prompt_tokens: int | None) -> int:
    """The first of the call's tokens that is a decode step: at position ``prompt_tokens`` or behind it. As many as there
    are if none is, or if that is None."""
    count: int = call.query.shape[2]
    return count if prompt_tokens is None else min(count, max(0, prompt_tokens - before))
