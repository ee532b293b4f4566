"""Capture of a model that generates, step by step."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any

import torch

from .._capture_checks import check_counts, check_output_can_be_created, check_selection
from .._errors import BadInput, Error
from .._trace import Trace
from .._types import checked
from .experts import ExpertChoices
from .feedback import restricted_attention
from .hook import AttentionCall, attached
from .layers import SelectingLayers, layers_for
from .model import check_weights, examine
from .presets import preset_of
from .quality import Perplexity, measurements
from .routers import watched_routers
from .sink import TraceSink, step_of
from .steps import LayerSteps


@checked
def capture(
    model: Any,
    *,
    select: str = "mass:k=512",
    ranking_depth: int = 0,
    out: str | os.PathLike[str],
    feedback: bool = False,
    source: str = "",
    threads: int = 0,
    without_experts: bool = False,
) -> Capture:
    """Captures what decode reads while the model generates.

    >>> with capture(model, select="quest:page=16,pages=64", out="x.kvt") as captured:
    ...     model.generate(**inputs, max_new_tokens=256)
    >>> captured.trace

    Forward calls before the first one of a single token are the prompt; each call of one token behind it is a decode
    step. With ``feedback`` attention in decode steps is restricted to the blocks selected, so the selection changes
    what is generated; without it the model attends to everything, and the selection is what would have been read.

    ``select``, ``ranking_depth``, ``without_experts``, the measurements and errors are those of ``capture_text``. One
    context holds one generation of one request: no batch, no beams, no assistant. Generation that raises leaves the
    steps captured so far readable with ``Trace(out, recover=True)``.
    """
    return Capture(model, select, ranking_depth, out, feedback, source, threads, without_experts)


class Capture:
    """The context that ``capture`` returns. ``trace`` is there once it has ended."""

    trace: Trace | None = None

    def __init__(
        self,
        model: Any,
        select: str,
        ranking_depth: int,
        out: str | os.PathLike[str],
        feedback: bool,
        source: str,
        threads: int,
        without_experts: bool,
    ) -> None:
        self._model = model
        self._ranking_depth = ranking_depth
        self._out = out
        self._feedback = feedback
        check_counts(1, 1, 0, ranking_depth)
        check_selection(select)
        check_output_can_be_created(out)
        check_weights(model)
        self._decoder = examine(model, without_experts=without_experts)
        self._source = source or f"{self._decoder.kind} generating" + (
            ", attention restricted to the selected blocks" if feedback else ""
        )
        self._layers = layers_for(
            self._decoder, select, prompt_tokens=None, ranking_depth=ranking_depth, threads=threads
        )
        if feedback and self._layers.block_tokens == 0:
            raise BadInput(f"{select}: selects no KV blocks that attention could be restricted to")
        self._experts = ExpertChoices(self._decoder)
        self._chosen: dict[int, LayerSteps] = {}
        self._tokens: list[int] = []
        self._prompt_tokens = 0
        self._sink: TraceSink | None = None
        self._logits: torch.Tensor | None = None  # of the token that comes next
        self._perplexity = (Perplexity(), Perplexity())
        self._contexts: list[Any] = []

    def __enter__(self) -> Capture:
        self._contexts = [
            attached(self._model, self._receive),
            watched_routers(self._model, self._decoder.expert_blocks, self._experts.receive),
        ]
        for context in self._contexts:
            context.__enter__()
        self._hooks = [
            self._model.register_forward_pre_hook(self._before, with_kwargs=True),
            self._model.register_forward_hook(self._after, with_kwargs=True),
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        for context in reversed(self._contexts):
            context.__exit__(None, None, None)
        if self._sink is None:
            if kind is None:
                raise BadInput(f"{os.fspath(self._out)}: nothing to write: the model decoded no token in this context")
            return
        if kind is not None:
            kept = self._sink.abandon()
            if isinstance(error, Error):
                error.args = (f"{error}; {kept}",)
            return
        prompt, decoded = self._tokens[: self._prompt_tokens], self._tokens[self._prompt_tokens :]
        self.trace = self._sink.finish(measurements(prompt, decoded, *self._perplexity),
                                       self._experts.of_prompt(self._layers.numbers))

    def _before(self, _model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        ids = kwargs.get("input_ids", args[0] if args else None)
        if ids is None:
            raise BadInput("the model was called without input_ids; capture follows the tokens that it reads")
        if ids.shape[0] != 1:
            raise BadInput(f"a batch of {ids.shape[0]}: capture takes one request at a time")
        mask = kwargs.get("attention_mask")
        if isinstance(mask, torch.Tensor) and mask.dim() == 2 and not bool(mask.all()):
            raise BadInput("the prompt is padded (zeros in its attention_mask); capture needs the tokens alone")
        count = int(ids.shape[1])
        if self._sink is not None and count > 1:
            raise BadInput(
                f"{count} tokens at once after decode step {self._sink.steps - 1}: a capture holds one generation; "
                "begin another one for the next prompt (and generate without an assistant model)"
            )
        if self._tokens and count == 1 and self._sink is None:
            self._begin_decoding()
        if self._logits is not None:
            targets = ids[0, :1].to(self._logits.device)
            self._perplexity[self._sink is not None].add(self._logits, targets)
        self._tokens.extend(ids[0].tolist())

    def _begin_decoding(self) -> None:
        self._prompt_tokens = len(self._tokens)
        if isinstance(self._layers, SelectingLayers):
            check_selection(self._layers.method, self._prompt_tokens)
        self._layers.end_prompt()
        self._sink = TraceSink(
            self._out,
            self._decoder,
            layers=len(self._layers.numbers),
            block_tokens=self._layers.block_tokens,
            prompt_tokens=self._prompt_tokens,
            ranking_depth=self._ranking_depth,
            model=preset_of(self._decoder),
            selection=self._layers.method,
            source=self._source,
        )

    def _receive(self, call: AttentionCall) -> torch.Tensor | None:
        chosen = self._layers.take(call, self._prompt_tokens if self._sink is not None else None)
        if chosen is not None:
            self._chosen[call.layer] = chosen
        if not self._feedback or chosen is None or not chosen.restricts:
            return None
        return restricted_attention(call, chosen, self._layers.block_tokens)

    def _after(self, _model: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        ids: torch.Tensor = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
        logits = output.logits[0].detach()
        if len(logits) == ids.shape[1] > 1:
            self._perplexity[0].add(logits[:-1], ids[0, 1:].to(logits.device))
        self._logits = logits[-1:]
        if self._sink is None:
            self._experts.note_prompt(int(ids.shape[1]))
        else:
            try:
                self._sink.add_step([(*page, self._experts.step(number, 0))
                                     for number, page in step_of(self._layers.numbers, self._chosen, 0)])
                self._chosen.clear()
            except Error as error:
                raise type(error)(f"decode step {self._sink.steps}: {error}") from error
        self._experts.clear()
