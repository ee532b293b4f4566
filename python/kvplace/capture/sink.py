"""Where captured decode steps go: a trace, whole decode steps only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from .._errors import Error
from .._trace import Trace
from .._trace_writer import TraceWriter
from .experts import MOST_OF_PROMPT, ExpertStep
from .model import Decoder
from .steps import NO_IDS, Ids, LayerSteps

#: Characters of metadata for what quality.measurements returns.
_MEASUREMENT_ROOM = 256
#: Characters of metadata for an expert that the prompt used.
_EXPERT_ROOM = 6
#: Of a chunk before compression: what a full disk may cost at the end of what was captured.
CHUNK_BYTES = 1 << 18


class TraceSink:
    """Writes the decode steps of a capture as they come.

    A capture that is cut short leaves its whole chunks behind, readable with ``Trace(path, recover=True)``.
    """

    def __init__(
        self,
        out: str | os.PathLike[str],
        decoder: Decoder,
        *,
        layers: int,  # of the trace
        block_tokens: int,  # 0: experts alone
        prompt_tokens: int,
        ranking_depth: int,
        model: str,
        selection: str,
        source: str,
    ) -> None:
        self._path = Path(out)
        self._decoder = decoder
        self._block_tokens = block_tokens
        self._prompt_tokens = prompt_tokens
        self._ranking_depth = ranking_depth
        sizes = {layer.kv_bytes_per_token * block_tokens for layer in decoder.layers} if block_tokens else set()
        self._writer = TraceWriter(
            self._path,
            layers=layers,
            prompt_tokens=prompt_tokens if block_tokens else 0,
            block_tokens=max(1, block_tokens),
            experts=decoder.expert_blocks,
            ranking=ranking_depth > 0,
            block_bytes=sizes.pop() if len(sizes) == 1 else None,
            model=model,
            selection=selection,
            source=source,
            measurement_room=_MEASUREMENT_ROOM + _EXPERT_ROOM * (layers + min(layers * decoder.expert_blocks, MOST_OF_PROMPT)),
            chunk_bytes=CHUNK_BYTES,
        )
        self.steps = 0  #: decode steps written

    def add_step(self, layers: Sequence[tuple[Ids, Ids | None, ExpertStep | None]]) -> None:
        """One decode step: per layer the pages read, their ranking, and the experts."""
        experts = self._decoder.expert_blocks
        appended = NO_IDS
        if self._block_tokens:
            appended = np.array([experts + (self._prompt_tokens + self.steps) // self._block_tokens], np.uint32)
        for pages, ranking, chosen in layers:
            reads, ranked = pages + np.uint32(experts), ranking
            if ranking is not None:
                ranked = ranking + np.uint32(experts)
            if chosen is not None:
                reads = np.concatenate([chosen.chosen, reads])
                if ranked is not None:
                    used = len(chosen.chosen)
                    ranked = np.concatenate([chosen.ranking[:used], ranked, chosen.ranking[used:]])
            self._writer.add(reads, appended=appended, ranking=ranked)
        self.steps += 1

    def finish(self, measurements: dict[str, float], prompt_experts: list[list[int]] | None) -> Trace:
        return self._writer.finish(measurements, prompt_experts)

    def abandon(self) -> str:
        """Leaves the whole chunks written so far under the trace's name; says, for an error's end, what is left."""
        try:
            path, steps = self._writer.keep_partial()
        except Error:
            path, steps = "", 0
        if steps == 0:
            return f"nothing of {self._path} could be kept"
        return f"{path} holds the first {steps} decode steps; read them with --recover, or recover=True"


def step_of(
    numbers: Sequence[int], chosen: Mapping[int, LayerSteps], index: int
) -> Iterator[tuple[int, tuple[Ids, Ids | None]]]:
    """The model's number, pages and ranking of each layer in one of the decode steps. Where no KV blocks are captured,
    layers without attention read as little as those with."""
    other = next(iter(chosen.values()))
    for number in numbers:
        layer = chosen.get(number, other)
        ranking = None if layer.rankings is None else np.asarray(layer.rankings[index])
        yield number, (np.asarray(layer.sets[index]), ranking)
