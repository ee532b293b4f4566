"""Expert choices: what the routers of a mixture-of-experts model answer, layer by layer."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
_EXPERT_COUNTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")


class Choice(NamedTuple):
    """What a router chose for the tokens of one forward call."""

    chosen: torch.Tensor  #: [tokens, experts per token], best first
    logits: torch.Tensor | None  #: [tokens, experts], if the router shows them


def expert_count(config: Any) -> int:
    """Experts that the model's configuration names, 0 for a dense model."""
    for name in _EXPERT_COUNTS:
        count = getattr(config, name, None)
        if isinstance(count, int) and count > 1:
            return count
    return 0


def _choice(output: Any, experts: int) -> Choice | None:
    chosen = logits = None
    for part in output if isinstance(output, tuple) else ():
        if not isinstance(part, torch.Tensor) or part.dim() != 2:
            continue
        if not part.is_floating_point():
            chosen = part
        elif part.shape[1] == experts and logits is None:
            logits = part
    return None if chosen is None else Choice(chosen, logits)


@contextlib.contextmanager
def watched_routers(model: Any, experts: int, receive: Callable[[int, Choice], None]) -> Iterator[None]:
    """While the context lasts, every router's choices are handed on with the number of its layer."""

    def hook_for(layer: int) -> Callable[[Any, Any, Any], None]:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            choice = _choice(output, experts)
            if choice is not None:
                receive(layer, choice)

        return hook

    handles = []
    try:
        if experts:
            for name, module in model.named_modules():
                place = _LAYER.search(name)
                if place and type(module).__name__.lower().endswith(("router", "gate")):
                    handles.append(module.register_forward_hook(hook_for(int(place[1]))))
        yield
    finally:
        for handle in handles:
            handle.remove()
