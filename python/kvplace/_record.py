"""Traces from a running server."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from . import _core
from ._core import Interrupt
from ._errors import BadInput
from ._run import ProgressLike, shown
from ._trace import Trace
from ._types import checked


@checked
def record(
    engine: str,
    url: str,
    prompts: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    max_tokens: int = 512,
    sampling: Mapping[str, Any] | None = None,
    timeout_s: float = 3600,
    experts: int | None = None,
    layers: int | None = None,
    block_tokens: int | None = None,
    model: str = "",
    key: str | None = None,
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
) -> list[Trace]:
    """Makes a trace of each prompt from what a running server's indexers and routers choose, and opens them.

    :param engine: ``"sglang"`` or ``"vllm"``.
    :param url: the server's address, as ``http://127.0.0.1:30000``.
    :param prompts: a file of JSON lines, or a text that is one prompt as a whole.
    :param out: trace to write; of several prompts ``t.kvt`` stands for ``t-0.kvt``, ``t-1.kvt``, ...
    :param max_tokens: decode steps of a prompt at most.
    :param sampling: further sampling parameters, in the engine's own names.
    :param timeout_s: how long to wait for an answer, in seconds.
    :param experts: take what the routers chose; experts of a layer.
    :param layers: layers of an array whose shape does not say it; default: those of ``model``.
    :param block_tokens: tokens that an id of the indexer stands for.
    :param model: name of a model preset, kept in the metadata.
    :param key: sent as a bearer token; default: the environment's KVPLACE_API_KEY.

    What came is kept if the call fails or is interrupted; the same call goes on from there.

    >>> kvplace.record("sglang", "http://127.0.0.1:30000", "prompts.jsonl", "t.kvt", experts=128, layers=48)
    """
    if max_tokens < 1:
        raise BadInput("max_tokens must be at least 1")
    if key is None:
        key = os.environ.get("KVPLACE_API_KEY", "")
    with shown(progress) as sink:
        count = _core.record(engine, url, prompts, out, max_tokens, json.dumps(dict(sampling)) if sampling else "",
                             timeout_s, experts, layers, block_tokens, model, key, sink, interrupt)
    return [Trace(_core.recorded_path(os.fspath(out), count, prompt)) for prompt in range(count)]
