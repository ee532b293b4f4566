"""Expert choices of the decode steps of one forward call, as blocks of a trace."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .model import Decoder
from .routers import Choice
from .steps import Ids


class ExpertStep(NamedTuple):
    """One layer of one decode step."""

    chosen: Ids  #: ascending
    ranking: Ids  #: best first, the chosen before all others; only the chosen if the router shows no logits


class ExpertChoices:
    """Collects the routers' choices of a forward call."""

    def __init__(self, decoder: Decoder) -> None:
        self._router_layers = decoder.router_layers
        self._choices: dict[int, Choice] = {}

    def receive(self, layer: int, choice: Choice) -> None:
        self._choices[layer] = choice

    def clear(self) -> None:
        self._choices.clear()

    def step(self, layer: int, token: int) -> ExpertStep | None:
        """What a layer chose for a token of the call, numbered from the call's first; None for a dense layer."""
        if layer not in self._router_layers:
            return None
        choice = self._choices[layer]
        chosen = choice.chosen[token].detach().cpu().numpy().astype(np.uint32)
        ranking = chosen
        if choice.logits is not None:
            logits = choice.logits[token].detach().float().cpu().numpy()
            chosen = chosen[np.lexsort((chosen, -logits[chosen]))]
            others = np.setdiff1d(np.arange(logits.size, dtype=np.uint32), chosen)
            ranking = np.concatenate([chosen, others[np.lexsort((others, -logits[others]))]])
        return ExpertStep(np.sort(chosen), ranking)
