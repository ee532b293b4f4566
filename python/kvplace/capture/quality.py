"""How well the model reads the text: a trace of a model that has lost the thread says little about real decoding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

#: Tokens in a row that must have occurred before for a token to count as repeated.
REPETITION_TOKENS = 8


def negative_log_likelihoods(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """[tokens]: -ln p of each target under the logits [tokens, vocabulary] of the position before it."""
    rows = [
        torch.nn.functional.cross_entropy(some.float(), wanted, reduction="none")
        for some, wanted in zip(logits.split(64), targets.split(64), strict=True)
    ]
    return torch.cat(rows) if rows else torch.zeros(0)


class Perplexity:
    """exp of the mean -ln p over the tokens it is given."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._tokens = 0

    @classmethod
    def of(cls, likelihoods: torch.Tensor) -> Perplexity:
        """From -ln p of each token."""
        made = cls()
        made._sum, made._tokens = float(likelihoods.double().sum()), likelihoods.numel()
        return made

    def add(self, logits: torch.Tensor, targets: torch.Tensor) -> None:
        self._sum += float(negative_log_likelihoods(logits, targets).double().sum())
        self._tokens += targets.numel()

    @property
    def value(self) -> float | None:
        """None if there were no tokens or the model gave no finite probability."""
        mean = self._sum / self._tokens if self._tokens else math.inf
        return math.exp(mean) if mean < 700 else None


def repetition_rate(prompt: Sequence[int], decoded: Sequence[int]) -> float:
    """Share of decoded tokens that end a run of REPETITION_TOKENS tokens which occurred before, prompt included.

    Prose stays below 0.05; a model caught in a loop comes near 1.
    """
    tokens = [*prompt, *decoded]
    seen: set[tuple[int, ...]] = set()
    repeated = 0
    for end in range(REPETITION_TOKENS, len(tokens) + 1):
        run = tuple(tokens[end - REPETITION_TOKENS : end])
        if end > len(prompt):
            repeated += run in seen
        seen.add(run)
    return repeated / len(decoded) if decoded else 0.0


def measurements(
    prompt: Sequence[int], decoded: Sequence[int], prompt_perplexity: Perplexity, perplexity: Perplexity
) -> dict[str, float]:
    """What a capture stores in the trace's metadata."""
    values = {
        "perplexity": perplexity.value,
        "prompt_perplexity": prompt_perplexity.value,
        "repetition_rate": repetition_rate(prompt, decoded),
    }
    return {name: value for name, value in values.items() if value is not None}
