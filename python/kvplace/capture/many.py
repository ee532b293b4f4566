"""Capture of many texts, one trace each, which goes on where an earlier call ended."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._capture_checks import check_output_can_be_created
from .._errors import BadInput, Error
from .._run import ProgressLike
from .._trace import Trace
from .._types import checked
from .text_pass import Wanted, capture_text, plan_pass, tokens_of


def path_of(out: str | os.PathLike[str], texts: int, text: int) -> Path:
    """Of one text the name as it is; of several x.kvt stands for x-0.kvt, x-1.kvt, ..."""
    path = Path(out)
    return path if texts == 1 else path.with_name(f"{path.name.removesuffix('.kvt')}-{text}.kvt")


@checked
def capture_texts(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
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
) -> list[Trace]:
    """As ``capture_text``, for each of several texts: ``x.kvt`` stands for ``x-0.kvt``, ``x-1.kvt``, ...

    A trace that is there, whole, and of the same text, selection and tokens is kept, so that the same call goes on where
    an earlier one ended. All texts are looked at before the first is read.
    """
    if not texts:
        raise BadInput("there is no text to capture")
    options: dict[str, Any] = {"prompt_tokens": prompt_tokens, "skip_tokens": skip_tokens, "threads": threads,
                               "without_experts": without_experts}
    wanted = Wanted(select, out, decode_tokens, ranking_depth)
    plan = plan_pass(lambda: model, tokenizer, texts[0], [wanted._replace(out=path_of(out, len(texts), 0))], **options)
    check_texts(tokenizer, texts, out, skip_tokens, prompt_tokens + decode_tokens)
    method = plan.layers[0].method
    reads = source or f"{plan.decoder.kind} reading a text, teacher-forced"
    traces = []
    for index, text in enumerate(texts):
        path = path_of(out, len(texts), index)
        said = f"{reads}; text {index}, SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:16]}"
        kept = _kept(path, method, prompt_tokens, decode_tokens, ranking_depth, said)
        if kept is None:
            kept = capture_text(model, tokenizer, text, decode_tokens=decode_tokens, select=select,
                                ranking_depth=ranking_depth, out=path, source=said, progress=progress, **options)
        traces.append(kept)
    return traces


def check_texts(tokenizer: Any, texts: Sequence[str], out: str | os.PathLike[str], skip: int, tokens: int) -> None:
    """Raises BadInput, with its number, for a text that has fewer tokens, or whose trace cannot be written."""
    for index, text in enumerate(texts):
        check_output_can_be_created(path_of(out, len(texts), index))
        try:
            tokens_of(tokenizer, text, skip, tokens)
        except BadInput as error:
            raise BadInput(f"text {index}: {error}") from error


def _kept(path: Path, method: str, prompt_tokens: int, decode_tokens: int, ranking_depth: int, source: str) -> Trace | None:
    """The trace that is there, if it is whole and what would be captured."""
    if not path.exists():
        return None
    try:
        trace = Trace(path)
    except Error:
        return None
    is_same = (trace.selection == method and trace.source == source and trace.steps == decode_tokens
               and trace.has_ranking == (ranking_depth > 0) and trace.prompt_tokens in (prompt_tokens, 0))
    return trace if is_same else None
