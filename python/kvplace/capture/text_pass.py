"""Capture of a text that the model reads: teacher forcing, in one pass.

Attention is causal, so row t of a pass over the whole text equals decode step t: the selections of all decode steps
follow from the queries and keys of one pass. The pass goes in pieces of a few hundred tokens over a KV cache, and each
layer's selector is fed as its queries and keys come, so memory holds the model, its KV cache and one piece.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from transformers import DynamicCache

from .._errors import BadInput, Error
from .._run import ProgressLike, shown
from .._trace import Trace
from .experts import ExpertChoices
from .hook import AttentionCall, attached
from .layers import Layers, LayerSteps, layers_for
from .model import Decoder, examine
from .presets import preset_of
from .quality import Perplexity, measurements
from .routers import watched_routers
from .sink import TraceSink, step_of

#: Tokens of a piece: large enough for matrix products, small enough that a piece's selections fit into memory.
PIECE_TOKENS = 256


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
    progress: ProgressLike = None,
) -> Trace:
    """Captures what decode reads while the model reads a text.

    The first ``prompt_tokens`` tokens after ``skip_tokens`` are the prompt; each of the ``decode_tokens`` behind it is
    a decode step. ``select`` names a method and its parameters (docs/select.md); with ``ranking_depth`` the trace also
    holds the selector's best candidates, that many in each step. ``source`` says in words what the text is; a trace
    holds block ids only, never the text.

    The trace's measurements say how well the model read it: perplexity of the decode steps, prompt_perplexity, and
    repetition_rate, the share of decode steps whose last 8 tokens had occurred before.

    Raises BadInput: a model that cannot be captured, a text too short, more tokens than the model's context, a
    selection that does not fit. Raises Failed if the disk is full; what was captured until then stays readable with
    ``Trace(out, recover=True)``. The same holds if the capture is interrupted.
    """
    if prompt_tokens < 1 or decode_tokens < 1 or skip_tokens < 0 or ranking_depth < 0:
        raise BadInput(
            f"prompt_tokens ({prompt_tokens}) and decode_tokens ({decode_tokens}) must be at least 1, skip_tokens "
            f"({skip_tokens}) and ranking_depth ({ranking_depth}) at least 0"
        )
    decoder = examine(model)
    if decoder.context is not None and prompt_tokens + decode_tokens > decoder.context:
        raise BadInput(
            f"{prompt_tokens} prompt and {decode_tokens} decode tokens are more than the {decoder.context} tokens of "
            f"the context that {decoder.kind} was made for"
        )
    layers = layers_for(decoder, select, prompt_tokens=prompt_tokens, ranking_depth=ranking_depth, threads=threads)
    tokens = _tokens(tokenizer, text, skip_tokens, prompt_tokens + decode_tokens)
    sink = TraceSink(
        out,
        decoder,
        block_tokens=layers.block_tokens,
        prompt_tokens=prompt_tokens,
        ranking_depth=ranking_depth,
        model=preset_of(decoder),
        selection=layers.method,
        source=source or f"{decoder.kind} reading a text, teacher-forced",
    )
    try:
        with shown(progress) as bar:
            quality = _Pass(model, decoder, layers, sink, prompt_tokens, bar).run(tokens)
        prompt, decoded = tokens[:prompt_tokens].tolist(), tokens[prompt_tokens:].tolist()
        return sink.finish(measurements(prompt, decoded, *quality))
    except Error as error:
        raise type(error)(f"{error}; {sink.abandon()}") from error
    except BaseException:
        sink.abandon()
        raise


def _tokens(tokenizer: Any, text: str, skip: int, count: int) -> torch.Tensor:
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    first = tokenizer.bos_token_id
    if first is not None and tokenizer("a")["input_ids"][:1] == [first]:
        ids = ids[:skip] + [first] + ids[skip:]  # what the model expects at the beginning, whatever is skipped
    if len(ids) < skip + count:
        raise BadInput(
            f"the text has {len(ids)} tokens; {count} are needed" + (f" behind the {skip} skipped" if skip else "")
        )
    return torch.tensor(ids[skip : skip + count], dtype=torch.long)


class _Pass:
    def __init__(
        self, model: Any, decoder: Decoder, layers: Layers, sink: TraceSink, prompt_tokens: int, bar: Any
    ) -> None:
        self._model = model
        self._layers = layers
        self._sink = sink
        self._prompt_tokens = prompt_tokens
        self._bar = bar
        self._chosen: list[LayerSteps | None] = [None] * len(decoder.layers)
        self._decoder = decoder
        self._experts = ExpertChoices(decoder)

    def _receive(self, call: AttentionCall) -> None:
        self._chosen[call.layer] = self._layers.take(call, self._prompt_tokens)

    def run(self, tokens: torch.Tensor) -> tuple[Perplexity, Perplexity]:
        """Reads the tokens; returns the perplexity of the prompt and of the decode steps."""
        prompt, decoded = Perplexity(), Perplexity()
        cache = DynamicCache()
        if self._bar is not None:
            self._bar.start("capture", len(tokens), "tokens")
        with (
            torch.no_grad(),
            attached(self._model, self._receive),
            watched_routers(self._model, self._decoder.experts, self._experts.receive),
        ):
            for begin in range(0, len(tokens), PIECE_TOKENS):
                end = min(begin + PIECE_TOKENS, len(tokens))
                piece = tokens[begin:end].unsqueeze(0).to(self._model.device)
                logits = self._model(input_ids=piece, past_key_values=cache, use_cache=True).logits[0]
                targets = tokens[begin + 1 : end + 1].to(logits.device)
                logits = logits[: len(targets)]
                cut = min(max(self._prompt_tokens - 1 - begin, 0), len(targets))
                prompt.add(logits[:cut], targets[:cut])
                decoded.add(logits[cut:], targets[cut:])
                del logits
                self._write(begin, end)
                if self._bar is not None:
                    self._bar.update(end)
        return prompt, decoded

    def _write(self, begin: int, end: int) -> None:
        first = max(begin, self._prompt_tokens)
        chosen = [layer for layer in self._chosen if layer is not None]
        for position in range(first, end):
            pages = step_of(chosen, position - first)
            experts = [self._experts.step(layer, position - begin) for layer in range(len(pages))]
            self._sink.add_step([(*page, expert) for page, expert in zip(pages, experts, strict=True)])
        self._experts.clear()
        self._chosen = [None] * len(self._chosen)
