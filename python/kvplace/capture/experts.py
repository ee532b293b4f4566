"""Expert choices of the decode steps of one forward call, as blocks of a trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .model import Decoder
from .routers import Choice
from .steps import Ids


#: Experts of the prompt that a trace can hold, over all layers.
MOST_OF_PROMPT = 1 << 16


class ExpertStep(NamedTuple):
    """One layer of one decode step."""

    chosen: Ids  #: ascending
    ranking: Ids  #: best first, the chosen before all others; only the chosen if the router shows no logits


class ExpertChoices:
    """Collects the routers' choices of a forward call."""

    def __init__(self, decoder: Decoder) -> None:
        self._router_layers = decoder.router_layers
        self._choices: dict[int, Choice] = {}
        self._last_use: dict[int, NDArray[np.int64]] = {
            layer: np.zeros(decoder.experts, np.int64) for layer in decoder.router_layers
        }
        self._prompt = 0  # tokens noted

    def note_prompt(self, tokens: int) -> None:
        """The call's first ``tokens`` are the prompt's: what they chose may be near when decoding begins."""
        for layer, choice in self._choices.items():
            for token, chosen in enumerate(choice.chosen[:tokens].detach().cpu().numpy()):
                self._last_use[layer][chosen] = self._prompt + token + 1
        self._prompt += tokens

    def of_prompt(self, layers: Sequence[int]) -> list[list[int]] | None:
        """Of each of these layers the experts that the prompt used, the last used last; None if there are none, or more
        than a trace holds."""
        lists = []
        for layer in layers:
            last_use = self._last_use.get(layer, np.zeros(0, np.int64))
            used = np.flatnonzero(last_use)
            lists.append(used[np.argsort(last_use[used], kind="stable")].tolist())
        return lists if 0 < sum(map(len, lists)) <= MOST_OF_PROMPT else None

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
