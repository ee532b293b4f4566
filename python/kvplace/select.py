"""Selection: from queries and keys to the blocks that a layer reads in each decode step.

>>> selector = Selector("mass:k=512", query_heads=9, kv_heads=3, head_dim=64)
>>> selector.append(k)                                            # [3, 8192, 64]
>>> sets, rankings = selector.select(q, first_position=4096, ranking_depth=2048)  # q: [9, 4096, 64]
>>> sets[0]                                                       # ids of the blocks read in the first decode step
"""

from __future__ import annotations

from typing import Any

from ._core import SelectedLists, Selection, Selector, select_methods

__all__ = ["SelectedLists", "Selection", "Selector", "methods"]


def methods() -> list[dict[str, Any]]:
    """All methods: name, doc, source, what they need, and parameters with unit, default and range or choices."""
    return select_methods()
