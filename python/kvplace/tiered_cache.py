"""A KV cache of transformers in two memories: ``kvplace.TieredCache``.

Prompts are computed densely; decode steps read the pages that are selected, near ones in place and far ones as they
arrive. Needs torch and transformers from 5.16 on.
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache, CacheLayerMixin
from transformers.masking_utils import sdpa_mask

from . import _core
from ._errors import BadInput
from ._trace import Trace
from ._trace_writer import TraceWriter

#: The name of the attention function, as ``model.set_attn_implementation`` takes it.
ATTENTION = "kvplace"

_DTYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}
_SELECT = re.compile(r"(quest|all)(?::(\w+)=(\d+)(?:,(\w+)=(\d+))?)?")
#: Rows of scores that are there at once where the attention function has to make them itself.
_ROWS = 256


def _selection(text: str) -> tuple[int, int]:
    """Tokens of a page, and pages that a query reads; 0: all."""
    match = _SELECT.fullmatch(text)
    given = {key: int(value) for key, value in zip(match.groups()[1::2], match.groups()[2::2]) if key} if match else {}
    method = match[1] if match else ""
    known = {"quest": {"page": 16, "pages": 64}, "all": {"page": 16}}.get(method, {})
    if not match or not set(given) <= set(known):
        raise BadInput(f"select: {text!r} is not like 'quest:page=16,pages=64' or 'all:page=16'")
    values = {**known, **given}
    if method == "quest" and values["pages"] == 0:
        raise BadInput("select: quest reads one page at least")
    return values["page"], values.get("pages", 0)


def _numpy(tensor: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Heads behind tokens, as float32, which holds bfloat16 and float16 exactly."""
    return np.ascontiguousarray(tensor.detach().to(dtype=torch.float32, device="cpu").numpy())


class _TieredLayer(CacheLayerMixin):  # type: ignore[misc]
    """A layer: what it has is told by how many tokens, padding included, went through it."""

    is_sliding = False
    is_compileable = False
    is_croppable = False

    def __init__(self, cache: TieredCache, index: int) -> None:
        super().__init__()
        self.cache = cache
        self.index = index
        self.seen = 0
        #: [batch][seen]: False of padding, which is not kept.
        self.real: torch.Tensor | None = None

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.is_initialized = True

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any,
               **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        self.cache._check_attention()
        self.is_initialized = True
        self.cache._awaited = self.index
        # The attention function is given these very objects, and finds the layer by them.
        key_states, value_states = key_states.view_as(key_states), value_states.view_as(value_states)
        key_states._kvplace_layer = self
        return key_states, value_states

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.seen + query_length, 0

    def get_seq_length(self) -> int:
        return self.seen

    def get_max_length(self) -> int:
        return self.cache.max_tokens

    get_max_cache_shape = get_max_length  # its name before transformers 5.19

    def offload(self) -> None:
        raise BadInput("a TieredCache is offloaded already: leave out cache_implementation and offloading")

    def reset(self) -> None:
        raise BadInput("a TieredCache is of one conversation: make another one instead of reset()")

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        raise BadInput("a TieredCache has no beams, whose KV would be copied between requests: generate with num_beams=1")

    def crop(self, *args: Any) -> None:
        raise BadInput("a TieredCache gives no tokens back: generate without assistant_model and prompt_lookup_num_tokens")

    batch_repeat_interleave = reorder_cache
    batch_select_indices = reorder_cache


class TieredCache(Cache):  # type: ignore[misc]
    """Keeps the KV of a model in DRAM under a budget and in far memory, placed by a policy of kvplace.

    >>> cache = kvplace.TieredCache(model.config, near_capacity="64MiB", far="file:kv.bin", max_tokens=8192)
    >>> model.generate(**inputs, past_key_values=cache, max_new_tokens=200)
    >>> cache.stats["far_reads"]

    The prompt is computed densely, whatever is selected. A decode step reads the selected pages of each request alone: so the
    tokens are those of dense attention masked to these pages. What is near changes time, never a result: that is bit for bit
    the same with any budget, far memory, policy and mode.

    Makes the model compute its attention with kvplace (``config._attn_implementation``), in which other caches give what
    ``sdpa`` gives. Several turns may use one cache. Padding is on the left, and is not kept. Beams, assisted generation and
    other ways to take tokens back are refused.

    :param config: the model's, ``model.config``.
    :param near_capacity: what may be near, as ``"64MiB"``: pages, those being filled or arriving, tables, Quest's bounds.
    :param far: ``"file:PATH"``, ``"paced:2GB/s"``, ``"numa:1"`` or ``"dram"`` (docs/runtime.md).
    :param select: pages that a query reads: ``"quest:page=16,pages=64"``, or ``"all:page=16"``. Layers with a window read
        its pages.
    :param policy: a policy that needs no future, as ``"kvplace"`` or ``"lru"``.
    :param max_tokens: of a request, prompt and output; default: the model's ``max_position_embeddings``. Far memory is
        reserved for so many.
    :param mode: ``"inclusive"`` (far has all full pages) or ``"exclusive"``.
    :param copies: ``"step"`` or ``"background"``.
    :param hardware: what the policy takes times for: a preset or a file of ``kvplace calibrate``; default: a core's DRAM, and
        far memory at its pace or as a local disk.
    :param threads: that compute attention.
    :param record: keep what decode steps read, for ``write_trace``.

    Raises BadInput if the model's shape, the budget or a word is none that there is.
    """

    def __init__(
        self,
        config: Any,
        near_capacity: str | int | float,
        far: str,
        *,
        select: str = "quest:page=16,pages=64",
        policy: str = "kvplace",
        max_tokens: int | None = None,
        mode: str = "inclusive",
        copies: str = "step",
        hardware: str | os.PathLike[str] | None = None,
        seed: int = 0,
        threads: int = 1,
        record: bool = False,
    ) -> None:
        text = config.get_text_config(decoder=True)
        self._config = text
        self._page_tokens, self._pages = _selection(select)
        self.max_tokens = int(max_tokens if max_tokens is not None else text.max_position_embeddings)
        self._words: dict[str, Any] = {
            "near_capacity": near_capacity if isinstance(near_capacity, str) else f"{int(near_capacity)}B", "far": far,
            "mode": mode, "copies": copies, "policy": policy, "hardware": None if hardware is None else os.fspath(hardware),
            "seed": seed, "threads": threads, "quest": self._pages > 0, "page_tokens": self._page_tokens,
            "most_tokens": self.max_tokens}
        self._select = select
        self._core: Any = None
        self._scale = 0.0
        self._awaited: int | None = None
        self._record: list[list[list[Any]]] | None = [] if record else None  # by decode step, layer, request
        self._prompts: list[int] = []
        self._turns = 0
        for part in {id(c): c for c in (config, text)}.values():
            part._attn_implementation = ATTENTION
        super().__init__(layers=[_TieredLayer(self, i) for i in range(text.num_hidden_layers)])

    @property
    def stats(self) -> dict[str, Any]:
        """Counts of pages, seconds and bytes so far: ``near_reads`` and ``far_reads`` of decode steps (and of prompts that
        come in parts), ``pages_from_far``, ``pages_to_far``, ``placing_s``, ``computing_s``, ``waiting_s``, ``near_bytes``,
        ``near_pages``, ``predicted_s`` (what the replay makes of the same steps). Empty before the first token."""
        return dict(self._core.statistics()) if self._core is not None else {}

    def write_trace(self, out: str | os.PathLike[str], request: int = 0) -> Trace:
        """Writes what a request's decode steps read as a trace (needs ``record=True``), and opens it.

        Raises BadInput if nothing was recorded, or if a further part of a prompt came between decode steps.
        """
        if self._record is None or not self._record:
            raise BadInput("write_trace: nothing was recorded; make the cache with record=True, and decode")
        if self._turns > 1:
            raise BadInput("write_trace: a trace is of one prompt and its answer; this cache has had several turns")
        if not 0 <= request < len(self._prompts):
            raise BadInput(f"write_trace: there is no request {request}; the batch has {len(self._prompts)}")
        page_bytes = self.stats["page_bytes"]
        with TraceWriter(out, layers=len(self.layers), prompt_tokens=self._prompts[request], block_tokens=self._page_tokens,
                         block_bytes=page_bytes, selection=self._select, source="kvplace.TieredCache") as writer:
            for step in self._record:
                for layer in step:
                    writer.add(layer[request])
        return Trace(out)

    # What the attention function calls.

    def _check_attention(self) -> None:
        """Another attention function would compute with what is new alone, and give wrong tokens without a word."""
        if self._config._attn_implementation != ATTENTION or self._awaited is not None:
            raise BadInput(f"a TieredCache needs the attention function {ATTENTION!r}, which it sets; now it is "
                           f"{self._config._attn_implementation!r}: call model.set_attn_implementation({ATTENTION!r})")

    def _attend(self, layer: _TieredLayer, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
                mask: torch.Tensor | None, scaling: float, window: int | None, sinks: torch.Tensor | None) -> torch.Tensor:
        self._awaited = None
        batch, heads, tokens, _ = query.shape
        self._make(query, key, scaling)
        if batch != self._batch:
            raise BadInput(f"the cache has {self._batch} requests, the batch now has {batch}: make a cache for each batch")
        if tokens == 1 and layer.seen > 0:
            out = self._decode(layer, query * (scaling / self._scale), key, value, window, sinks)
        else:
            out = self._prefill(layer, query, key, value, mask, scaling, sinks)
        layer.seen += tokens
        return out

    def _make(self, query: torch.Tensor, key: torch.Tensor, scaling: float) -> None:
        if self._core is not None:
            return
        if key.dtype not in _DTYPES:
            raise BadInput(f"a TieredCache keeps float32, bfloat16 and float16, not {key.dtype}: model.float()")
        self._batch, self._scale = query.shape[0], scaling
        self._core = _core.TieredCache(
            layers=len(self.layers), requests=query.shape[0], query_heads=query.shape[1], kv_heads=key.shape[1],
            head_dim=query.shape[3], dtype=_DTYPES[key.dtype], scale=scaling, **self._words)

    def _decode(self, layer: _TieredLayer, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
                window: int | None, sinks: torch.Tensor | None) -> torch.Tensor:
        out, read = self._core.decode(
            layer.index, _numpy(key[:, :, 0]), _numpy(value[:, :, 0]), _numpy(query[:, :, 0]), window or 0, self._pages,
            None if sinks is None else _numpy(sinks))
        one = torch.ones(self._batch, 1, dtype=torch.bool)
        assert layer.real is not None
        layer.real = torch.cat([layer.real, one], dim=1)
        if self._record is not None:
            if layer.index == 0:
                self._record.append([])
            self._record[-1].append(read)
        return torch.from_numpy(out).to(dtype=query.dtype, device=query.device)[:, None]

    def _prefill(self, layer: _TieredLayer, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
                 mask: torch.Tensor | None, scaling: float, sinks: torch.Tensor | None) -> torch.Tensor:
        """Dense attention over all that there is, then the new tokens go to their pages."""
        if mask is None:
            raise BadInput("the attention function was given no mask; set it by model.set_attn_implementation alone")
        tokens = query.shape[2]
        at = torch.arange(tokens)
        # A token of padding does not see itself.
        real = mask[:, 0, at, layer.seen + at].expand(self._batch, -1).cpu()
        mask = mask.clone()
        mask[:, :, at, layer.seen + at] = True  # no row is empty, which would be no number
        keys, values = key, value
        if layer.seen > 0:
            before = self._read(layer, key)
            keys, values = torch.cat([before[0], key], dim=2), torch.cat([before[1], value], dim=2)
        out = _dense(query, keys, values, mask, scaling, sinks)
        for request in range(self._batch):
            kept = real[request]
            if bool(kept.any()):
                self._core.append(layer.index, request, _numpy(key[request][:, kept].transpose(0, 1)),
                                  _numpy(value[request][:, kept].transpose(0, 1)))
        self._core.place(layer.index)
        layer.real = real if layer.real is None else torch.cat([layer.real, real], dim=1)
        if layer.index == len(self.layers) - 1:
            decoded = self._record is not None and len(self._record) > 0
            self._turns += 1 if decoded or self._turns == 0 else 0
            self._prompts = [int(count) for count in layer.real.sum(dim=1)] if not decoded else self._prompts
        return out

    def _read(self, layer: _TieredLayer, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """All that a layer has, each token where it was, with nothing where padding was: [batch, heads, seen, head_dim]."""
        assert layer.real is not None
        shape = (like.shape[0], like.shape[1], layer.seen, like.shape[3])
        keys, values = like.new_zeros(shape), like.new_zeros(shape)
        for request in range(self._batch):
            for all_of, of_request in zip((keys, values), self._core.read(layer.index, request)):
                all_of[request][:, layer.real[request]] = torch.from_numpy(of_request).to(like).transpose(0, 1)
        return keys, values


def _dense(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scaling: float,
           sinks: torch.Tensor | None) -> torch.Tensor:
    """[batch, tokens, heads, head_dim]; where heads have sinks, some rows at a time."""
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    if sinks is None:
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask,
                                                                scale=scaling).transpose(1, 2)
    rows = []
    for first in range(0, query.shape[2], _ROWS):
        part = query[:, :, first:first + _ROWS]
        scores = part @ key.transpose(2, 3) * scaling
        if mask is not None:
            scores = scores.masked_fill(~mask[:, :, first:first + _ROWS], torch.finfo(scores.dtype).min)
        sink = sinks.to(scores.dtype)[None, :, None, None].expand(*scores.shape[:3], 1)
        weights = torch.softmax(torch.cat([scores, sink], dim=-1).float(), dim=-1)[..., :-1]
        rows.append(weights.to(value.dtype) @ value)
    return torch.cat(rows, dim=2).transpose(1, 2)


def _attention(module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
               attention_mask: torch.Tensor | None, dropout: float = 0.0, scaling: float | None = None,
               **kwargs: Any) -> tuple[torch.Tensor, None]:
    """The attention function that transformers calls: of a TieredCache, or what ``sdpa`` gives."""
    if kwargs.get("softcap") is not None:
        raise BadInput(f"{ATTENTION}: scores that are capped (softcap), as Gemma 2 has them, are not computed")
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    sinks = kwargs.get("s_aux")
    layer = getattr(key, "_kvplace_layer", None)
    if layer is None:
        return _dense(query, key, value, attention_mask, scale, sinks).contiguous(), None
    if attention_mask is not None and attention_mask.dtype != torch.bool:
        raise BadInput(f"{ATTENTION}: masks of numbers are not taken; give 2D masks, or none")
    out = layer.cache._attend(layer, query, key, value, attention_mask, scale, kwargs.get("sliding_window"), sinks)
    return out.contiguous(), None


def _mask(*args: Any, **kwargs: Any) -> torch.Tensor | None:
    """Of numbers true and false, and always there."""
    kwargs["allow_is_causal_skip"] = False
    return sdpa_mask(*args, **kwargs)


AttentionInterface.register(ATTENTION, _attention)
AttentionMaskInterface.register(ATTENTION, _mask)
