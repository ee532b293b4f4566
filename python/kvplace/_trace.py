"""Reading traces."""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._core import Interrupt, Record
from ._errors import BadInput
from ._run import ProgressLike, shown
from ._shown import Shown
from ._types import checked

if TYPE_CHECKING:
    import pandas as pd

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

    @checked
    def __init__(self, path: str | os.PathLike[str], *, recover: bool = False) -> None:
        super().__init__(path, recover=recover)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, here or in another process, opens the same file; the file must be there and hold the same."""
        path = os.fspath(self.path)
        return _reopened, (path, os.path.abspath(path), self.recovered, _identity(self))

    def __len__(self) -> int:
        """Decode steps."""
        return self.steps

    def __getitem__(self, step: int) -> list[Record]:
        """The records of a decode step, one per layer. Negative steps count from the end."""
        try:
            step = operator.index(step)
        except TypeError:
            raise TypeError(f"Trace: a decode step is an int, not {step!r} ({type(step).__name__})") from None
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

    # Arrays.

    @checked
    def csr(
        self,
        what: str = "reads",
        *,
        steps: range | tuple[int, int] | None = None,
        layers: range | tuple[int, int] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """The lists of all records one after the other.

        :param what: ``"reads"``, ``"appended"``, ``"ranking"`` or ``"read_bytes"``.
        :param steps: decode steps, as ``range(100, 200)`` or ``(100, 200)``; default: all.
        :param layers: the same of layers.
        :return: ``begin`` [records + 1] and ``values``: the list of record i = step * layers + layer (both counted
            within the part) is ``values[begin[i]:begin[i + 1]]``.
        """
        return _core.csr(self, _list_name(what), *self._part(steps, layers))

    @checked
    def to_numpy(
        self,
        what: str = "reads",
        *,
        steps: range | tuple[int, int] | None = None,
        layers: range | tuple[int, int] | None = None,
    ) -> NDArray[np.int32]:
        """The lists of all records as one dense array [steps, layers, k], padded with -1; k is the longest list.

        Arguments as those of ``csr``. This is the ``topk-npy`` format.
        """
        return _core.dense(self, _list_name(what), *self._part(steps, layers))

    @checked
    def to_pandas(
        self,
        *,
        steps: range | tuple[int, int] | None = None,
        layers: range | tuple[int, int] | None = None,
    ) -> pd.DataFrame:
        """One row per read: ``step``, ``layer``, ``block``; ``rank`` (0 the best, -1 not ranked) if the trace has
        rankings, ``bytes`` (0 the whole block) if it has bytes per read. Needs pandas. Arguments as those of ``csr``.
        """
        import pandas as pd

        part = first_step, end_step, first_layer, end_layer = self._part(steps, layers)
        begin, blocks = _core.csr(self, "reads", *part)
        counts = np.diff(begin)
        layers_in_step = end_layer - first_layer
        columns: dict[str, Any] = {
            "step": np.repeat(np.repeat(np.arange(first_step, end_step, dtype=np.int32), layers_in_step), counts),
            "layer": np.repeat(np.tile(np.arange(first_layer, end_layer, dtype=np.int32), end_step - first_step), counts),
            "block": blocks.astype(np.int32),
        }
        if self.has_ranking:
            columns["rank"] = _core.ranks_of_reads(self, *part)
        if self.has_read_bytes:
            columns["bytes"] = _core.csr(self, "read_bytes", *part)[1]
        return pd.DataFrame(columns)

    # Files and statistics.

    @checked
    def slice(
        self,
        out: str | os.PathLike[str],
        *,
        steps: range | tuple[int, int] | None = None,
        layers: range | tuple[int, int] | None = None,
        progress: ProgressLike = None,
        interrupt: Interrupt | None = None,
    ) -> Trace:
        """Writes some decode steps and layers as a trace of their own and opens it; both are counted from 0 there.

        Blocks keep their ids; the tokens appended before the first step become part of the prompt.
        """
        with shown(progress) as sink:
            _core.slice_trace(self, out, *self._part(steps, layers), sink, interrupt)
        return Trace(out)

    @checked
    def export(
        self,
        out: str | os.PathLike[str],
        format: str,
        *,
        ranking: bool = False,
        progress: ProgressLike = None,
        interrupt: Interrupt | None = None,
    ) -> None:
        """Writes the trace in a foreign format, ``kvplace export``.

        :param out: file to write; a name that ends in .zst or .gz compresses.
        :param format: name of a format (``list_formats()``).
        :param ranking: ``topk-npy``: the rankings instead of the reads.
        """
        with shown(progress) as sink:
            _core.export_trace(self, out, format, ranking, sink, interrupt)

    @checked
    def info(
        self, *, threads: int = 0, progress: ProgressLike = None, interrupt: Interrupt | None = None
    ) -> TraceInfo:
        """What is in the trace, and its locality, ``kvplace info``. One pass over the trace."""
        with shown(progress) as sink:
            values, table = _core.info(self, threads, sink, interrupt)
        return TraceInfo(json.loads(values), table)

    def _part(
        self, steps: range | tuple[int, int] | None, layers: range | tuple[int, int] | None
    ) -> tuple[int, int, int, int]:
        return *stretch("steps", steps, self.steps), *stretch("layers", layers, self.layers)

    def __repr__(self) -> str:
        return (f"<Trace {self.path.name}: {self.steps:,} decode steps, {self.layers} layers, "
                f"prompt {self.prompt_tokens:,}, blocks of {self.block_tokens} tokens, {self.num_reads:,} reads>")


def _identity(trace: Trace) -> tuple[str, int, int]:
    """What tells whether a file still holds the trace; one that was cut short has no digest."""
    return trace.digest, trace.steps, trace.num_reads


def _reopened(path: str, absolute: str, recover: bool, identity: tuple[str, int, int]) -> Trace:
    """A pickled trace. ``path`` is as it was given, if that is the same file in this process's folder."""
    trace = Trace(path if os.path.abspath(path) == absolute else absolute, recover=recover)
    if _identity(trace) != identity:
        raise BadInput(f"{trace.path}: holds another trace than when it was pickled (digest {trace.digest or 'none'}, then "
                       f"{identity[0] or 'none'}; {trace.steps:,} decode steps, then {identity[1]:,}): pickle the trace "
                       "again, or put the file back")
    return trace


class TraceInfo(Shown, Mapping[str, Any]):
    """Statistics of a trace by name, with the keys of ``kvplace info --json`` (docs/json.md); repr is its table."""

    _kind = "info"

    def __init__(self, values: dict[str, Any], table: str) -> None:
        self._values = values
        self._table = table

    def to_dict(self) -> dict[str, Any]:
        """The command's JSON object."""
        return self._values

    def _rows(self) -> list[dict[str, Any]]:
        keys = ("layers", "steps", "prompt_tokens", "block_tokens", "blocks", "reads", "overlap", "density")
        return [{key: self._values[key] for key in keys}]

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return self._table.rstrip("\n")


def _list_name(what: str) -> str:
    known = ("reads", "appended", "ranking", "read_bytes")
    if what not in known:
        raise BadInput(f"a record has no {what!r}; it has {', '.join(known)}")
    return what
