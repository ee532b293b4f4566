"""Capture of a text that the model reads: teacher forcing, in one pass.

Attention is causal, so row t of a pass over the whole text equals decode step t: the selections of all decode steps
follow from the queries and keys of one pass. The pass goes in pieces of a few hundred tokens over a KV cache, and each
layer's selector is fed as its queries and keys come, so memory holds the model, its KV cache and one piece.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from transformers import DynamicCache

from .._capture_checks import check_counts, check_output_can_be_created, check_selection
from .._errors import BadInput, Error
from .._run import Progress, ProgressLike, shown
from .._trace import Trace
from .._types import checked
from .experts import ExpertChoices
from .hook import AttentionCall, attached
from .layers import Layers, layers_for
from .model import Decoder, check_weights, examine
from .presets import preset_of
from .quality import Perplexity, measurements, negative_log_likelihoods
from .routers import watched_routers
from .sink import TraceSink, step_of
from .steps import LayerSteps

#: Tokens of a piece: large enough for matrix products, small enough that a piece's selections fit into memory.
PIECE_TOKENS = 256


class Wanted(NamedTuple):
    """One of several traces of a pass; see capture_text."""

    select: str
    out: str | os.PathLike[str]
    decode_tokens: int
    ranking_depth: int = 0


@checked
def capture_text(
    model: Any,
    tokenizer: Any,
    text: str,
    *,
    prompt_tokens: int,
    decode_tokens: int,
    select: str = "mass:k=512",
    ranking_depth: int = 0,
    out: str | os.PathLike[str],
    skip_tokens: int = 0,
    source: str = "",
    threads: int = 0,
    without_experts: bool = False,
    progress: ProgressLike = None,
) -> Trace:
    """Captures what decode reads while the model reads a text.

    The first ``prompt_tokens`` tokens after ``skip_tokens`` are the prompt; each of the ``decode_tokens`` behind it is
    a decode step. ``select`` names a method and its parameters (docs/select.md); with ``ranking_depth`` the trace also
    holds the selector's best candidates, that many in each step. ``without_experts`` leaves the experts of a mixture of
    experts out, so that the trace has KV blocks alone. ``source`` says in words what the text is; a trace holds block
    ids only, never the text.

    The trace's measurements say how well the model read it: perplexity of the decode steps, prompt_perplexity, and
    repetition_rate, the share of decode steps whose last 8 tokens had occurred before.

    Raises BadInput: a model that cannot be captured, a text too short, more tokens than the model's context, a
    selection that does not fit. Raises Failed if the disk is full; what was captured until then stays readable with
    ``Trace(out, recover=True)``. The same holds if the capture is interrupted.
    """
    wanted = Wanted(select, out, decode_tokens, ranking_depth)
    return capture_selections(
        model, tokenizer, text, [wanted], prompt_tokens=prompt_tokens, skip_tokens=skip_tokens, source=source,
        threads=threads, without_experts=without_experts, progress=progress,
    )[0]


@checked
def capture_selections(
    model: Any,
    tokenizer: Any,
    text: str,
    wanted: Sequence[Wanted],
    *,
    prompt_tokens: int,
    skip_tokens: int = 0,
    source: str = "",
    threads: int = 0,
    without_experts: bool = False,
    progress: ProgressLike = None,
) -> list[Trace]:
    """As ``capture_text``, for several selections in one pass over the text."""
    check_weights(model)
    plan = plan_pass(
        lambda: model, tokenizer, text, wanted, prompt_tokens=prompt_tokens, skip_tokens=skip_tokens, threads=threads,
        without_experts=without_experts,
    )
    decoder, tokens = plan.decoder, plan.tokens
    targets: list[_Target] = []
    try:
        for one, layers in zip(wanted, plan.layers, strict=True):
            sink = TraceSink(
                one.out,
                decoder,
                layers=len(layers.numbers),
                block_tokens=layers.block_tokens,
                prompt_tokens=prompt_tokens,
                ranking_depth=one.ranking_depth,
                model=preset_of(decoder),
                selection=layers.method,
                source=source or f"{decoder.kind} reading a text, teacher-forced",
            )
            targets.append(_Target(layers, sink, prompt_tokens + one.decode_tokens))
        with shown(progress) as bar:
            reading = _Pass(model, decoder, targets, prompt_tokens, bar)
            likelihoods = reading.run(tokens)
        return [target.finish(tokens, likelihoods, prompt_tokens, reading.experts) for target in targets]
    except Error as error:
        raise type(error)("; ".join([str(error), *(target.sink.abandon() for target in targets)])) from error
    except BaseException:
        for target in targets:
            target.sink.abandon()
        raise


class Plan(NamedTuple):
    """A pass that can begin."""

    decoder: Decoder
    layers: list[Layers]  #: one for each of the traces
    tokens: torch.Tensor  #: that the model will read


def plan_pass(
    model: Callable[[], Any],
    tokenizer: Any,
    text: str,
    wanted: Sequence[Wanted],
    *,
    prompt_tokens: int,
    skip_tokens: int,
    threads: int,
    without_experts: bool,
) -> Plan:
    """All that can go wrong before the pass, the cheap checks first. ``model`` gives the model once it is needed, with
    weights or without."""
    for one in wanted:
        check_counts(prompt_tokens, one.decode_tokens, skip_tokens, one.ranking_depth)
        check_selection(one.select, prompt_tokens)
        check_output_can_be_created(one.out)
    decode_tokens = max(one.decode_tokens for one in wanted)
    tokens = tokens_of(tokenizer, text, skip_tokens, prompt_tokens + decode_tokens)
    decoder = examine(model(), without_experts=without_experts)
    if decoder.context is not None and prompt_tokens + decode_tokens > decoder.context:
        raise BadInput(
            f"{prompt_tokens} prompt and {decode_tokens} decode tokens are more than the {decoder.context} tokens of "
            f"the context that {decoder.kind} was made for"
        )
    layers = [
        layers_for(decoder, one.select, prompt_tokens=prompt_tokens, ranking_depth=one.ranking_depth, threads=threads)
        for one in wanted
    ]
    return Plan(decoder, layers, tokens)


def tokens_of(tokenizer: Any, text: str, skip: int, count: int) -> torch.Tensor:
    """The first ``count`` tokens behind those skipped. Raises BadInput if there are fewer."""
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    first = tokenizer.bos_token_id
    if first is not None and tokenizer("a")["input_ids"][:1] == [first]:
        ids = ids[:skip] + [first] + ids[skip:]  # what the model expects at the beginning, whatever is skipped
    if len(ids) < skip + count:
        raise BadInput(
            f"the text has {len(ids)} tokens; {count} are needed" + (f" behind the {skip} skipped" if skip else "")
        )
    return torch.tensor(ids[skip : skip + count], dtype=torch.long)


class _Target:
    """One of the traces that a pass feeds."""

    def __init__(self, layers: Layers, sink: TraceSink, end: int) -> None:
        self.sink = sink
        self._layers = layers
        self._end = end  # the position behind its last decode step
        self._chosen: dict[int, LayerSteps] = {}

    def receive(self, call: AttentionCall, begin: int, prompt_tokens: int) -> None:
        chosen = self._layers.take(call, prompt_tokens) if begin < self._end else None
        if chosen is not None:
            self._chosen[call.layer] = chosen

    def write(self, begin: int, end: int, prompt_tokens: int, experts: ExpertChoices) -> None:
        first = max(begin, prompt_tokens)
        for position in range(first, min(end, self._end)):
            self.sink.add_step(
                [(*page, experts.step(number, position - begin))
                 for number, page in step_of(self._layers.numbers, self._chosen, position - first)]
            )
        self._chosen.clear()

    def finish(
        self, tokens: torch.Tensor, likelihoods: torch.Tensor, prompt_tokens: int, experts: ExpertChoices
    ) -> Trace:
        prompt, decoded = tokens[:prompt_tokens].tolist(), tokens[prompt_tokens : self._end].tolist()
        return self.sink.finish(
            measurements(
                prompt,
                decoded,
                Perplexity.of(likelihoods[: prompt_tokens - 1]),
                Perplexity.of(likelihoods[prompt_tokens - 1 : self._end - 1]),
            ),
            experts.of_prompt(self._layers.numbers),
        )


class _Pass:
    def __init__(
        self, model: Any, decoder: Decoder, targets: Sequence[_Target], prompt_tokens: int, bar: Progress | None
    ) -> None:
        self._model = model
        self._decoder = decoder
        self._targets = targets
        self._prompt_tokens = prompt_tokens
        self._bar = bar
        self.experts = ExpertChoices(decoder)
        self._begin = 0

    def _receive(self, call: AttentionCall) -> None:
        for target in self._targets:
            target.receive(call, self._begin, self._prompt_tokens)

    def run(self, tokens: torch.Tensor) -> torch.Tensor:
        """Reads the tokens; returns -ln p of each but the first, [tokens - 1]."""
        likelihoods = []
        # transformers calls it `cache` from 5.24 on.
        known = inspect.signature(self._model.forward).parameters
        # Indexers keep keys of their own in the cache, and layers without attention their states: it has to know of
        # them. Without a configuration it keeps the keys that windows have passed as well.
        knows = self._decoder.has_indexers or len(self._decoder.layers) < self._decoder.model_layers
        config = self._model.config if knows else None
        cache = {"cache" if "cache" in known else "past_key_values": DynamicCache(config=config)}
        if self._bar is not None:
            self._bar.start("capture", len(tokens), "tokens")
        with (
            torch.no_grad(),
            attached(self._model, self._receive),
            watched_routers(self._model, self._decoder.expert_blocks, self.experts.receive),
        ):
            for begin in range(0, len(tokens), PIECE_TOKENS):
                self._begin, end = begin, min(begin + PIECE_TOKENS, len(tokens))
                piece = tokens[begin:end].unsqueeze(0).to(self._model.device)
                logits = self._model(input_ids=piece, use_cache=True, **cache).logits[0]
                following = tokens[begin + 1 : end + 1].to(logits.device)
                likelihoods.append(negative_log_likelihoods(logits[: len(following)], following).cpu())
                del logits
                for target in self._targets:
                    target.write(begin, end, self._prompt_tokens, self.experts)
                self.experts.note_prompt(max(0, min(end, self._prompt_tokens) - begin))
                self.experts.clear()
                if self._bar is not None:
                    self._bar.update(end)
        return torch.cat(likelihoods)
