"""Selection for all layers of a decoder: queries and keys of the hook in, blocks out."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from numpy.typing import NDArray

from .._capture_checks import INDEXER, ROUTER, check_selection
from .._errors import BadInput, Error
from ..select import Selector
from .hook import AttentionCall
from .model import Decoder, DecoderLayer
from .own_choice import ExpertsAlone, IndexersChoice
from .steps import LayerSelector, LayerSteps, check_keys, decode_steps
from .window import SlidingWindow


def as_array(values: torch.Tensor) -> NDArray[Any]:
    """[heads, tokens, head dim] as selection takes it; float64 is rounded to float32."""
    if not values.is_floating_point():
        raise BadInput(f"queries and keys of type {values.dtype}; floating point is needed")
    values = values.detach().cpu()
    array: NDArray[Any] = (values if values.dtype in (torch.float32, torch.float16) else values.float()).numpy()
    return array


class Layers(Protocol):
    """What captures of selected KV blocks, of the indexers' choices and of experts alone have in common."""

    method: str
    block_tokens: int  #: 0: no KV blocks are captured
    numbers: tuple[int, ...]  #: the model's numbers of the trace's layers

    def take(self, call: AttentionCall, prompt_tokens: int | None) -> LayerSteps | None: ...
    def end_prompt(self) -> None: ...


def layers_for(
    decoder: Decoder, select: str, *, prompt_tokens: int | None, ranking_depth: int, threads: int
) -> Layers:
    """The selectors that ``select`` names. With ``prompt_tokens`` the budget is checked against them at once."""
    check_selection(select, prompt_tokens)
    name = select.partition(":")[0]
    if name == ROUTER:
        return ExpertsAlone(decoder, select, ranking_depth)
    if name == INDEXER:
        return IndexersChoice(decoder, select, ranking_depth)
    return SelectingLayers(decoder, select, ranking_depth=ranking_depth, threads=threads, prompt_tokens=prompt_tokens)


class SelectingLayers:
    """A selector per layer, fed by the hook's calls."""

    def __init__(
        self, decoder: Decoder, select: str, *, ranking_depth: int, threads: int, prompt_tokens: int | None = None
    ) -> None:
        self.decoder = decoder
        self.ranking_depth = ranking_depth
        self._threads = threads
        self._select = select
        self.numbers = decoder.numbers
        first = self._selector(decoder.layers[0])
        self.method: str = first.method
        self.block_tokens: int = first.block_tokens
        self._windows = {number: layer.window for number, layer in zip(decoder.numbers, decoder.layers, strict=True)}
        self._layers: dict[int, LayerSelector] = {
            number: self._make(layer, prompt_tokens) for number, layer in zip(decoder.numbers, decoder.layers, strict=True)
        }
        self._tails: dict[int, torch.Tensor | None] = dict.fromkeys(decoder.numbers)

    def _selector(self, layer: DecoderLayer) -> Any:
        return Selector(
            self._select,
            query_heads=layer.query_heads,
            kv_heads=layer.kv_heads,
            head_dim=layer.head_dim,
            scale=layer.scale,
            softcap=layer.softcap,
            sinks=layer.sinks,
            threads=self._threads,
        )

    def _make(self, layer: DecoderLayer, prompt_tokens: int | None) -> LayerSelector:
        if layer.window is None:
            selector: LayerSelector = self._selector(layer)
            return selector
        selects = prompt_tokens is None or prompt_tokens < layer.window
        return SlidingWindow(layer.window, self.block_tokens, self._selector(layer) if selects else None)

    def take(self, call: AttentionCall, prompt_tokens: int | None) -> LayerSteps | None:
        """Appends the call's keys and selects for those of its tokens that are decode steps: from position
        ``prompt_tokens`` on, or none if that is None. Returns None if none is.
        """
        layer = self._layers[call.layer]
        count, before = call.query.shape[2], layer.tokens
        window = self._windows[call.layer]
        check_keys(call, before, window is None or before + count <= window)
        try:
            layer.append(as_array(call.key[0, :, call.key.shape[2] - count :]))
            first = decode_steps(call, before, prompt_tokens)
            if layer.observed_queries and first > 0:
                self._observe(call, layer, call.query[0, :, :first], before, before + first == prompt_tokens)
            if first == count:
                return None
            chosen = layer.select(
                as_array(call.query[0, :, first:]), first_position=before + first, ranking_depth=self.ranking_depth
            )
        except Error as error:
            raise type(error)(f"layer {call.layer}, positions {before} to {before + count - 1}: {error}") from error
        return chosen if isinstance(chosen, LayerSteps) else LayerSteps(
            chosen.sets, chosen.rankings, chosen.heads, chosen.head_sets
        )

    def end_prompt(self) -> None:
        """Says that the prompt has ended where the calls so far did; for calls without ``prompt_tokens``."""
        for index, layer in self._layers.items():
            tail = self._tails[index]
            if layer.observed_queries and tail is not None:
                layer.observe(as_array(tail), first_position=layer.tokens - tail.shape[1])
                self._tails[index] = None

    def _observe(
        self, call: AttentionCall, layer: LayerSelector, queries: torch.Tensor, before: int, ends: bool
    ) -> None:
        tail = self._tails[call.layer]
        tail = queries if tail is None else torch.cat([tail, queries], dim=1)
        tail = tail[:, -layer.observed_queries :].clone()
        self._tails[call.layer] = tail
        if ends:
            layer.observe(as_array(tail), first_position=before + queries.shape[1] - tail.shape[1])
            self._tails[call.layer] = None
