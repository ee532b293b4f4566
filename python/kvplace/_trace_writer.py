"""Writing traces: record by record, and from foreign files."""

from __future__ import annotations

import contextlib
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._core import Interrupt
from ._errors import BadInput
from ._foreign import array_of, readable, saved
from ._presets import text_of
from ._run import ProgressLike, shown
from ._trace import Trace
from ._types import Array, checked

_NOTHING: NDArray[np.uint32] = np.empty(0, dtype=np.uint32)


def _ids(what: str, values: ArrayLike | None) -> NDArray[np.uint32]:
    """One list of ids as the writer takes it; no copy of what is uint32 already."""
    if values is None:
        return _NOTHING
    array = np.asarray(values)
    if array.ndim != 1:
        raise BadInput(f"{what}: one list of ids is needed, not an array of shape {array.shape}")
    if array.size == 0:
        return _NOTHING
    if array.dtype.kind not in "iu":
        raise BadInput(f"{what}: ids are whole numbers, not {array.dtype}")
    if array.dtype != np.uint32 and (array.min() < 0 or array.max() > 0xFFFFFFFF):
        raise BadInput(f"{what}: {array.min()} to {array.max()} are not all ids of 0 to 2^32 - 1")
    return np.ascontiguousarray(array, dtype=np.uint32)


def _count(what: str, value: int) -> int:
    """Tokens of a decode step."""
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"TraceWriter.add: {what} takes an int, not {value!r} ({type(value).__name__})") from None
    if not 1 <= count <= 0xFFFF:
        raise BadInput(f"{what}: {count} is not 1 to 65535")
    return count


class TraceWriter:
    """Writes a trace (.kvt), decode step by decode step and in it layer by layer.

    The file appears under its name when the trace is finished: at the end of the ``with`` block, or in ``finish()``. A
    block that ends with an exception leaves no file.

    >>> with kvplace.TraceWriter("t.kvt", layers=2, prompt_tokens=64, block_tokens=16) as writer:
    ...     for step in range(10):
    ...         for layer in range(2):
    ...             writer.add([0, 3, (64 + step) // 16])

    :param path: file to write.
    :param layers: layers of every decode step.
    :param prompt_tokens: tokens of each request before the first decode step.
    :param block_tokens: tokens of a KV page.
    :param requests: requests whose KV pages are in the trace. Block ids of a layer: experts first, then page p of
        request q as ``experts + p * requests + q``. Or a served batch, whose requests come and go: of each the tokens of its
        prompt, its first decode step and the one behind its last; ``prompt_tokens`` is then the longest of those.
    :param experts: expert blocks per layer.
    :param ranking: records hold the selector's ranking.
    :param read_bytes: records hold the bytes of each read.
    :param tokens: decode steps may be of several tokens, as with speculative decoding.
    :param block_bytes: bytes of a KV page, if known.
    :param model: name of a model preset, or ''.
    :param selection: method and parameters of the selection, for people.
    :param source: where the trace came from, for people.
    :param measurements: what was measured on the way, as ``{"perplexity": 19.0}``; ``kvplace info`` shows it.
    :param measurement_room: characters left free in the metadata for what is known only at the end: measurements, experts
        of the prompt.
    :param zstd_level: 1 to 19.
    :param chunk_bytes: a chunk ends once it holds this much before compression.

    Raises BadInput if the numbers are out of range or the file cannot be created.
    """

    @checked
    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        layers: int,
        prompt_tokens: int,
        block_tokens: int = 1,
        requests: int | Sequence[tuple[int, int, int]] = 1,
        experts: int = 0,
        ranking: bool = False,
        read_bytes: bool = False,
        tokens: bool = False,
        block_bytes: int | None = None,
        model: str = "",
        selection: str = "",
        source: str = "",
        measurements: Mapping[str, float] | None = None,
        measurement_room: int = 0,
        zstd_level: int = 3,
        chunk_bytes: int = 1 << 20,
    ) -> None:
        table = None if isinstance(requests, int) else [(int(p), int(first), int(end)) for p, first, end in requests]
        if not isinstance(requests, int):
            requests = len(requests)
        for name, number in {"layers": layers, "prompt_tokens": prompt_tokens, "block_tokens": block_tokens,
                             "requests": requests, "experts": experts}.items():
            if not 0 <= number <= 0xFFFFFFFF:
                raise BadInput(f"{os.fspath(path)}: {name} is {number}, not 0 to 2^32 - 1")
        self._writer = _core.Writer(path, layers, prompt_tokens, block_tokens, requests, table, experts, ranking, read_bytes,
                                    tokens, block_bytes, model, selection, source, dict(measurements or {}),
                                    measurement_room, zstd_level, chunk_bytes)
        self._path = os.fspath(path)
        self._layers = layers
        self._pages = (prompt_tokens, block_tokens, requests, experts)
        self._served = table is not None
        self._ranking = ranking
        self._read_bytes = read_bytes
        self._tokens = tokens
        self._decoded = 0  # before the step at hand
        self._records = 0

    @property
    def step(self) -> int:
        """Decode step of the next record."""
        return self._records // self._layers

    @property
    def layer(self) -> int:
        """Layer of the next record."""
        return self._records % self._layers

    def add(
        self,
        reads: ArrayLike,
        *,
        appended: ArrayLike | None = None,
        ranking: ArrayLike | None = None,
        read_bytes: ArrayLike | None = None,
        tokens: int = 1,
        verified: int | None = None,
        written_tokens: ArrayLike | None = None,
    ) -> None:
        """The next record.

        :param reads: ids of the blocks read, ascending.
        :param appended: ids of the blocks written to, ascending; default: in each request the pages of the tokens
            verified, from ``prompt_tokens`` and the tokens of the steps before on.
        :param ranking: ids of the selector's candidates, best first, as deep as they are known.
        :param read_bytes: bytes of each read, 0 for the whole block; parallel to ``reads``.
        :param tokens: tokens that the decode step adds to the text, the same in all its layers.
        :param verified: tokens that it reads and computes for, no fewer; default: ``tokens``.
        :param written_tokens: tokens written to each block of ``appended``; default: one.

        Raises BadInput if ids are not ascending, or if a block is read or ranked that does not exist yet.
        """
        if ranking is not None and not self._ranking:
            raise BadInput(f"{self._path}: a ranking is given; make the writer with ranking=True")
        if read_bytes is not None and not self._read_bytes:
            raise BadInput(f"{self._path}: bytes of reads are given; make the writer with read_bytes=True")
        tokens = _count("tokens", tokens)
        verified = tokens if verified is None else _count("verified", verified)
        if (tokens, verified) != (1, 1) and not self._tokens:
            raise BadInput(f"{self._path}: a step of several tokens is given; make the writer with tokens=True")
        if tokens > verified:
            raise BadInput(f"{self._path}: tokens: {tokens} of {verified} verified; expected 1 to those verified")
        if self._served:
            if appended is not None or written_tokens is not None:
                raise BadInput(f"{self._path}: what a served batch appends, its table of requests says")
        elif appended is None:
            if written_tokens is not None:
                raise BadInput(f"{self._path}: written_tokens: give the blocks they are written to as well, as appended")
            appended, written_tokens = self._written(verified)
        self._writer.add(self.step, self.layer, _ids("reads", reads), _ids("appended", appended),
                         _ids("ranking", ranking), _ids("read_bytes", read_bytes), tokens, verified,
                         _ids("written_tokens", written_tokens))
        self._records += 1
        self._decoded += tokens if self.layer == 0 else 0

    def add_step(self, reads: Sequence[ArrayLike], *, ranking: Sequence[ArrayLike] | None = None) -> None:
        """A whole decode step: one list per layer, each as in ``add`` but padded with -1 and in any order."""
        if not isinstance(reads, Iterable) or not (ranking is None or isinstance(ranking, Iterable)):
            raise BadInput(f"{self._path}: reads and ranking are a list of ids for each of {self._layers} layers")
        if self.layer != 0 or len(reads) != self._layers or (ranking is not None and len(ranking) != self._layers):
            raise BadInput(f"{self._path}: decode step {self.step} needs one list for each of {self._layers} layers")
        for layer, ids in enumerate(reads):
            array = np.asarray(ids)
            ranked = None if ranking is None else np.asarray(ranking[layer])
            self.add(np.sort(array[array != -1]), ranking=None if ranked is None else ranked[ranked != -1])

    def add_requests(self, reads: Mapping[int, Sequence[ArrayLike]]) -> None:
        """A whole decode step, request by request: of each the pages that it reads, one list per layer, in any order and
        padded with -1. Pages count from 0 in each request. Of a served batch those that run are given, or fewer.

        Raises BadInput if a request or a page is none that there is, or if a list per layer is missing.
        """
        if not isinstance(reads, Mapping):
            raise BadInput(f"{self._path}: reads: lists of pages by request are needed, as {{0: [[1, 2], [0]]}}")
        if self.layer != 0:
            raise BadInput(f"{self._path}: decode step {self.step} was begun layer by layer")
        for request, layers in reads.items():
            if len(layers) != self._layers:
                raise BadInput(f"{self._path}: decode step {self.step}, request {request}: one list for each of "
                               f"{self._layers} layers is needed, not {len(layers)}")
        for layer in range(self._layers):
            ids = [_NOTHING]
            for request, layers in reads.items():
                pages = np.asarray(layers[layer])
                ids.append(self._writer.ids_of(request, _ids("reads", pages[pages != -1])))
            self.add(np.sort(np.concatenate(ids)))

    @checked
    def finish(self, measurements: Mapping[str, float] | None = None,
               prompt_experts: Sequence[Sequence[int]] | None = None) -> Trace:
        """Puts the file into place and opens it. ``measurements`` replace those given at the beginning.
        ``prompt_experts`` are the experts that the prompt used, by layer, the last used last: what is near when decoding
        begins.

        Raises BadInput if a decode step is incomplete, or if what is said here needs more than the room left for it.
        """
        if measurements is not None:
            self._writer.set_measurements(dict(measurements))
        if prompt_experts is not None:
            self._writer.set_prompt_experts([[int(expert) for expert in layer] for layer in prompt_experts])
        self._writer.finish()
        return Trace(self._path)

    def discard(self) -> None:
        """Instead of ``finish()``: leaves no file."""
        self._writer.discard()

    def keep_partial(self) -> tuple[str, int]:
        """Instead of ``finish()``, after an error: leaves the whole chunks written so far as a truncated trace.

        ``Trace(path, recover=True)`` and ``--recover`` read it. Returns its path, which has ".partial" behind it if a
        file of the trace's name is there already, and the decode steps in it; ("", 0) if nothing could be kept.
        """
        path, steps = self._writer.keep_partial()
        return str(path), int(steps)

    def _written(self, verified: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """The pages of the tokens verified in each request, and how many of these are in each."""
        prompt_tokens, block_tokens, requests, experts = self._pages
        first = prompt_tokens + self._decoded
        pages, counts = np.unique(np.arange(first, first + verified) // block_tokens, return_counts=True)
        ids = experts + pages[:, None] * requests + np.arange(requests)
        return ids.ravel().astype(np.uint32), np.repeat(counts, requests).astype(np.uint32)

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._writer.finish()
        finally:
            self.discard()  # what could not be finished is nobody's output any more


@checked
def import_trace(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    format: str | None = None,
    *,
    block_tokens: int | None = None,
    prompt_tokens: int | None = None,
    prompt_rows: int | None = None,
    experts: int | None = None,
    layers: int | None = None,
    request: str = "",
    columns: str | Mapping[str, str] = "",
    read: int | None = None,
    block_bytes: str | int | float | None = None,
    model: str = "",
    selection: str = "",
    zstd_level: int = 3,
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
) -> Trace:
    """Makes a trace of foreign files, ``kvplace import``, and opens it.

    :param sources: files in order, plain, .zst or .gz. Beside what the command reads: Parquet, whose columns are those of
        records (needs pyarrow), and .pt files of SGLang's expert distribution recorder in the mode per_token (needs
        torch); of these one file.
    :param out: trace to write.
    :param format: name of a format (``list_formats()``); default: found by content.
    :param block_tokens: tokens of a KV page; default: 1, or what the ids show.
    :param prompt_tokens: tokens before the first decode step; default: the file's, or the least that lets every block
        exist when it is read.
    :param prompt_rows: arrays: rows of the prompt at the head, which are left out; default: what the ids show.
    :param experts: experts of a layer; of an array: its ids are experts.
    :param layers: layers of an array whose shape does not say it.
    :param request: the request to take from files that hold several.
    :param columns: records: names of what is in a row, as ``{"layer": "layer_id", "step": "t", "blocks": "ids"}`` or the
        command's text.
    :param read: arrays: ids are a ranking, of which the first so many were read.
    :param block_bytes: bytes of a KV page, kept in the metadata.
    :param model: name of a model preset, kept in the metadata.
    :param selection: how blocks were selected, kept in the metadata.

    Raises BadInput, naming file and place, if a file is not of the format.
    """
    paths = [os.fspath(path) for path in ([sources] if isinstance(sources, (str, os.PathLike)) else sources)]
    if not isinstance(columns, str):
        columns = ",".join(f"{key}={name}" for key, name in columns.items())
    with contextlib.ExitStack() as held, shown(progress) as sink:
        if len(paths) == 1:
            path, known_experts = held.enter_context(readable(paths[0]))
            paths, experts = [path], experts or known_experts
        _core.import_trace(paths, out, format or ("records" if columns else ""), block_tokens, prompt_tokens, prompt_rows,
                           experts, layers, request, columns, read,
                           None if block_bytes is None else text_of(block_bytes), model, selection, zstd_level, sink,
                           interrupt)
    return Trace(out)


@checked
def merge(
    traces: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    arrivals: str | os.PathLike[str] | None = None,
    requests: int | None = None,
    slots: int = 8,
    kv_tokens: int | None = None,
    step_time: str | int | float = "20ms",
    seed: int = 1,
    zstd_level: int = 3,
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
) -> Trace:
    """Makes a served batch of the traces of single requests, ``kvplace merge``, and opens it.

    Prompts arrive as written pages: what their prefill takes is in no time.

    :param traces: of one model; each request takes the next, over and over.
    :param out: trace to write.
    :param arrivals: when requests come: a log of requests (Mooncake, Qwen-Bailian, Azure), whose lengths choose traces and
        outputs, or ``"poisson:RATE"``, so many per second at random; default: all at the start.
    :param requests: how many; default: as many as the log has, or the traces.
    :param slots: requests that run at once, at most.
    :param kv_tokens: tokens of KV that near and far have room for; a request waits until it fits to its end. Default: what
        the slots ask for.
    :param step_time: a decode step's (s, or text as ``"20ms"``), by which arrivals become decode steps.
    :param seed: of random arrivals.

    Raises BadInput if the traces are not of one model, if what one appends is not its text's, if a request never fits, or,
    naming the line, if the log cannot be read.
    """
    paths = [os.fspath(path) for path in ([traces] if isinstance(traces, (str, os.PathLike)) else traces)]
    with shown(progress) as sink:
        _core.merge(paths, out, "" if arrivals is None else os.fspath(arrivals), requests, slots, kv_tokens,
                    step_time if isinstance(step_time, str) else f"{float(step_time)!r}s", seed, zstd_level, sink, interrupt)
    return Trace(out)


@checked
def from_arrays(
    topk: Array,
    out: str | os.PathLike[str],
    *,
    layout: str = "tokens,layers,k",
    block_tokens: int | None = None,
    prompt_tokens: int | None = None,
    prompt_rows: int | None = None,
    experts: int | None = None,
    read: int | None = None,
    block_bytes: str | int | float | None = None,
    model: str = "",
    selection: str = "",
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
) -> Trace:
    """Makes a trace of an array of ids and opens it, as ``import_trace`` does of a .npy file.

    :param topk: integers of numpy or torch, -1 where a row has fewer. Rows of the prompt may stand at the head.
    :param out: trace to write.
    :param layout: what its dimensions are: ``tokens``, ``layers`` and ``k`` in any order; without ``layers`` there is
        one.

    The others are those of ``import_trace``. Raises BadInput if the array cannot be such a workload.

    >>> kvplace.from_arrays(topk, "t.kvt", layout="layers,tokens,k", prompt_tokens=4096)
    """
    with saved(array_of(topk, layout), "topk") as path, shown(progress) as sink:
        _core.import_trace([path], out, "topk-npy", block_tokens, prompt_tokens, prompt_rows, experts, None, "", "", read,
                           None if block_bytes is None else text_of(block_bytes), model, selection, 3, sink, interrupt)
    return Trace(out)
