"""Indexers of DeepSeek Sparse Attention: the scores by which a layer chooses the tokens that it reads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class IndexScores(TorchFunctionMode):  # type: ignore[misc]
    """Sees what an indexer takes the best of: the only place where its scores come to the surface.

    A layer that reuses an earlier layer's choice reuses its scores.
    """

    latest: torch.Tensor | None = None  #: [batch, tokens, tokens so far]; -inf for tokens that are not seen

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.topk, torch.Tensor.topk):
            self.latest = args[0]
        return func(*args, **(kwargs or {}))

    def around(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """The forward function of an indexer, watched."""

        def watched(*args: Any, **kwargs: Any) -> Any:
            with self:
                return forward(*args, **kwargs)

        return watched


@contextlib.contextmanager
def watched_indexers(layers: Iterable[torch.nn.Module]) -> Iterator[IndexScores]:
    """While the context lasts, the scores of the layers' indexers are seen; ``latest`` is from the last that ran."""
    scores = IndexScores()
    indexers = [module.indexer for module in layers if isinstance(getattr(module, "indexer", None), torch.nn.Module)]
    own = [vars(indexer).get("forward") for indexer in indexers]
    try:
        for indexer in indexers:
            vars(indexer)["forward"] = scores.around(indexer.forward)
        yield scores
    finally:
        for indexer, forward in zip(indexers, own, strict=True):
            vars(indexer).pop("forward", None)
            if forward is not None:
                vars(indexer)["forward"] = forward
