"""What can be said about a capture before torch and the model are loaded. No torch here: it takes seconds to import."""

from __future__ import annotations

import os
from typing import Optional

import numpy as np

from ._errors import BadInput
from ._trace_writer import TraceWriter
from .select import Selector

#: Names of --select that capture knows beside those of kvplace.select: the model's own choices.
ROUTER, INDEXER = "router", "indexer"


def check_selection(select: str, prompt_tokens: Optional[int] = None) -> None:
    """Raises BadInput unless ``select`` names a selection that a capture can make.

    With ``prompt_tokens`` it also raises what selecting at the first decode step would: a budget over the blocks there
    are.
    """
    name = select.partition(":")[0]
    if name == INDEXER:
        indexer_k(select)
        return
    trial = Selector(select, query_heads=1, kv_heads=1, head_dim=1, threads=1)
    if name == ROUTER:
        return
    if trial.block_tokens == 0:
        raise BadInput(f"{select}: selects no KV blocks")
    if trial.needs == "scores":
        raise BadInput(f"{select}: needs scores that an attention function does not see")
    if prompt_tokens is None:
        return
    trial.append(np.zeros((1, prompt_tokens + 1, 1), np.float32))
    queries = np.zeros((1, prompt_tokens + 1, 1), np.float32)
    if trial.observed_queries:
        trial.observe(queries[:, :prompt_tokens], first_position=0)
    trial.select(queries[:, :1], first_position=prompt_tokens)


def indexer_k(select: str) -> Optional[int]:
    """k of ``indexer:k=N``; None for ``indexer``."""
    _, colon, parameters = select.partition(":")
    key, _, number = parameters.partition("=")
    if not colon:
        return None
    if key != "k" or not (number.isascii() and number.isdigit()):
        raise BadInput(f"{select}: the model's indexer chooses as many tokens as it was made for: indexer, or indexer:k=N "
                       "to have that number checked")
    return int(number)


def check_counts(prompt_tokens: int, decode_tokens: int, skip_tokens: int, ranking_depth: int) -> None:
    """Raises BadInput for counts out of range."""
    if prompt_tokens < 1 or decode_tokens < 1 or skip_tokens < 0 or ranking_depth < 0:
        raise BadInput(
            f"prompt_tokens ({prompt_tokens}) and decode_tokens ({decode_tokens}) must be at least 1, "
            f"skip_tokens ({skip_tokens}) and ranking_depth ({ranking_depth}) at least 0"
        )


def check_output_can_be_created(out: str | os.PathLike[str]) -> None:
    """Raises BadInput if no trace can be written there. Leaves nothing behind."""
    TraceWriter(out, layers=1, prompt_tokens=1).discard()
