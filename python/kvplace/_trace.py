"""Reading traces."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._core import Interrupt, Record
from ._errors import BadInput
from ._run import ProgressLike, shown

if TYPE_CHECKING:
    import pandas as pd

#: A stretch of decode steps or layers: None for all, a range or (first, end), end excluded.
Stretch = "range | tuple[int, int] | None"


def stretch(what: str, wanted: range | tuple[int, int] | None, size: int) -> tuple[int, int]:
    """First and end of a stretch, checked."""
    if wanted is None:
        return 0, size
    if isinstance(wanted, range):
        if wanted.step != 1:
            raise BadInput(f"{what}: {wanted!r} has gaps; a range of step 1 is needed")
        first, end = wanted.start, wanted.stop
    else:
        first, end = wanted
    if not 0 <= first < end <= size:
        raise BadInput(f"{what}: {first} to {end} is no part of 0 to {size}, end excluded")
    return first, end


class Trace(_core.Trace):
    """A trace (.kvt): per decode step and layer the blocks read.

    ``Trace(path, recover=False)`` opens a file; with ``recover=True`` the whole chunks of a truncated one. Only the
    head is read then; records are decoded chunk by chunk as they are asked for.

    Raises BadInput if the file is missing, damaged, truncated or no trace.

    >>> trace = kvplace.Trace("data/smollm2-holmes-page16-k64.kvt")
    >>> trace[0][2].reads                 # decode step 0, layer 2
    """

    _chunk: _core.Chunk | None = None

    def __len__(self) -> int:
        """Decode steps."""
        return self.steps

    def __getitem__(self, step: int) -> list[Record]:
        """The records of a decode step, one per layer. Negative steps count from the end."""
        if not -self.steps <= step < self.steps:
            raise IndexError(f"decode step {step} of {self.steps}")
        chunk = self._chunk_with(step % self.steps)
        return [chunk.record(step % self.steps, layer) for layer in range(self.layers)]

    def __iter__(self) -> Iterator[list[Record]]:
        """Decode steps in order; each is the list of its records, one per layer."""
        for index in range(self.num_chunks):
            chunk = self.chunk(index)
            for step in range(chunk.first_step, chunk.end_step):
                yield [chunk.record(step, layer) for layer in range(self.layers)]

    def _chunk_with(self, step: int) -> _core.Chunk:
        chunk = self._chunk
        if chunk is None or not chunk.first_step <= step < chunk.end_step:
            chunk = self._chunk = self.chunk(self.chunk_of(step))
        return chunk
