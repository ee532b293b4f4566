"""Selection: from queries and keys to the blocks that a layer reads in each decode step.

>>> selector = Selector("mass:k=512", query_heads=9, kv_heads=3, head_dim=64)
>>> selector.append(k)                                            # [3, 8192, 64]
>>> sets, rankings = selector.select(q, first_position=4096, ranking_depth=2048)  # q: [9, 4096, 64]
>>> sets[0]                                                       # ids of the blocks read in the first decode step
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import _core
from ._core import SelectedLists, Selection, select_methods
from ._types import Array, checked

__all__ = ["SelectedLists", "Selection", "Selector", "methods"]


class Selector(_core.Selector):
    """The blocks that one layer reads in each decode step.

    Keys are appended in order of position; a step at position p sees keys 0 ... p, whatever lies behind them. Many steps
    in one call and one step at a time give the same. Arrays are float32, float16 or bfloat16 in host memory, of any
    strides, and taken in without copies.

    :param method: ``"NAME"`` or ``"NAME:key=value,..."`` (``methods()``).
    :param scale: of q.k in the softmax; default 1 / sqrt(head_dim).
    :param softcap: scores are softcap * tanh(scale * q.k / softcap), as Gemma 2 caps them; default no cap.
    :param sinks: of each query head a score that takes part in the softmax and stands for no token, as gpt-oss learns it.
    :param threads: worker threads; 0 for one per core.

    Raises BadInput if the method is unknown or the numbers do not fit.
    """

    @checked
    def __init__(self, method: str, *, query_heads: int = 1, kv_heads: int = 1, head_dim: int = 1,
                 scale: float | None = None, softcap: float | None = None, sinks: Sequence[float] = (),
                 threads: int = 0) -> None:
        super().__init__(method, query_heads=query_heads, kv_heads=kv_heads, head_dim=head_dim, scale=scale,
                         softcap=softcap, sinks=list(sinks), threads=threads)

    @checked
    def append(self, keys: Array) -> None:
        """The keys [kv_heads, new tokens, head_dim] of the next positions, after RoPE."""
        super().append(keys)

    @checked
    def observe(self, queries: Array, first_position: int) -> None:
        """Shows queries [query_heads, tokens, head_dim] of the prompt's end, whose keys have been appended.

        Needed once before the first select if ``observed_queries`` > 0, and ignored otherwise.
        """
        super().observe(queries, first_position)

    @checked
    def select(self, queries: Array | None = None, keys: Array | None = None, *, scores: Array | None = None,
               head_weights: Array | None = None, first_position: int | None = None, steps: int | None = None,
               ranking_depth: int = 0) -> Selection:
        """Selects for consecutive decode steps.

        :param queries: [query_heads, steps, head_dim].
        :param keys: as in ``append``, which they are given to first.
        :param scores: [steps, columns], token scores or router logits, of methods that take them.
        :param head_weights: [steps, query_heads], of method scores.
        :param first_position: of the first step; default tokens - steps.
        :param steps: their number, where no array tells it.
        :param ranking_depth: ids in each ranking, or as many as the set if it is larger.
        """
        return super().select(queries, keys, scores=scores, head_weights=head_weights, first_position=first_position,
                              steps=steps, ranking_depth=ranking_depth)


def methods() -> list[dict[str, Any]]:
    """All methods: name, doc, source, what they need, and parameters with unit, default and range or choices."""
    return select_methods()
