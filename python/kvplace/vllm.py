"""The KV offloading of vLLM with a policy of kvplace, by configuration alone (docs/vllm.md).

``KvplacePolicy`` chooses which prefix chunks stay in host memory; ``KvplaceSpec`` is vLLM's CPU offloading with it, also
where vLLM computes on the CPU. Written for vLLM 0.32, whose interface is experimental. It places prefix chunks by the requests that
share them, not what attention reads within decode.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from vllm.platforms import current_platform
from vllm.v1.kv_offload.base import (CanonicalKVCaches, GPULoadStoreSpec, LoadStoreSpec, OffloadingWorker, OffloadKey,
                                     ReqContext, TransferResult)
from vllm.v1.kv_offload.config import OffloadingConfig
from vllm.v1.kv_offload.cpu.policies.base import CachePolicy, ChunkStatus, order_request_keys
from vllm.v1.kv_offload.cpu.spec import CPUOffloadingSpec

from ._prefix_reuse import PrefixReuse


class KvplacePolicy(CachePolicy):  # type: ignore[misc]
    """``eviction_policy`` of vLLM: keeps the chunks that are likeliest to be used soon (:class:`PrefixReuse` has the rule)."""

    def __init__(self, cache_capacity: int) -> None:
        super().__init__(cache_capacity)
        self._state: PrefixReuse[OffloadKey, ChunkStatus] = PrefixReuse(cache_capacity)

    def get(self, key: OffloadKey) -> ChunkStatus | None:
        return self._state.chunks.get(key)

    def insert(self, key: OffloadKey, chunk: ChunkStatus) -> None:
        self._state.insert(key, chunk)

    def remove(self, key: OffloadKey) -> None:
        self._state.remove(key)

    def touch(self, keys: Iterable[OffloadKey], req_context: ReqContext) -> None:
        """A use of each chunk; one that is still being stored was counted then."""
        self._state.use(list(keys), lambda key: key in self._state.chunks and self._state.chunks[key].is_ready)

    def on_store_miss(self, keys: Iterable[OffloadKey], req_context: ReqContext) -> None:
        """``insert`` learns from misses."""

    def on_request_finished(self, key_groups: Sequence[Sequence[OffloadKey]], insertion_only_keys: set[OffloadKey],
                            reused_keys: set[OffloadKey], req_context: ReqContext) -> None:
        self._state.use(order_request_keys(key_groups, req_context), reused_keys.__contains__)

    def evict(self, n: int, protected: set[OffloadKey]) -> list[tuple[OffloadKey, ChunkStatus]] | None:
        return self._state.evict(n, lambda key, chunk: chunk.ref_cnt != 0 or key in protected)

    def clear(self) -> None:
        self._state.clear()


class KvplaceSpec(CPUOffloadingSpec):  # type: ignore[misc]
    """``spec_name`` of vLLM: its ``CPUOffloadingSpec``, with KvplacePolicy where no policy is named, on the CPU backend too."""

    _worker: OffloadingWorker | None

    def __init__(self, config: OffloadingConfig) -> None:
        ours = {"eviction_policy": KvplacePolicy.__name__, "cache_policy_module_path": __name__}
        given: Mapping[str, Any] = config.extra_config
        super().__init__(config if "eviction_policy" in given else replace(config, extra_config={**given, **ours}))

    def get_worker(self, kv_caches: CanonicalKVCaches) -> OffloadingWorker:
        if not current_platform.is_cpu():
            return super().get_worker(kv_caches)
        if self._worker is None:
            self._worker = _HostWorker(kv_caches, self.blocks_per_chunk, self.num_chunks)
        return self._worker


class _HostWorker(OffloadingWorker):  # type: ignore[misc]
    """Copies blocks where vLLM computes on the CPU: from its cache to the chunks and back, at once.

    A chunk has the blocks of ``blocks_per_chunk`` places in a request, and only whole ones are stored.
    """

    def __init__(self, kv_caches: CanonicalKVCaches, blocks_per_chunk: int, num_chunks: int) -> None:
        self._blocks = [cache.tensor.view(torch.int8).view(-1, cache.page_size_bytes) for cache in kv_caches.tensors]
        self._chunks = [torch.zeros(num_chunks, blocks_per_chunk, blocks.shape[1], dtype=torch.int8) for blocks in self._blocks]
        self._tensors_of_group = [[ref.tensor_idx for ref in refs] for refs in kv_caches.group_data_refs]
        self._blocks_per_chunk = blocks_per_chunk
        self._finished: list[TransferResult] = []

    def submit_store(self, job_id: int, src_spec: GPULoadStoreSpec, dst_spec: LoadStoreSpec) -> bool:
        return self._copy(job_id, src_spec, dst_spec, load=False)

    def submit_load(self, job_id: int, src_spec: LoadStoreSpec, dst_spec: GPULoadStoreSpec) -> bool:
        return self._copy(job_id, dst_spec, src_spec, load=True)

    def get_finished(self) -> list[TransferResult]:
        finished, self._finished = self._finished, []
        return finished

    def wait(self, job_ids: set[int]) -> None:
        """Nothing is under way once it was submitted."""

    def _copy(self, job_id: int, of_blocks: GPULoadStoreSpec, of_chunks: Any, load: bool) -> bool:
        begin = time.monotonic()
        num_bytes = first_block = first_chunk = 0
        for tensors, count, index in zip(self._tensors_of_group, of_blocks.group_sizes, of_blocks.block_indices):
            if count == 0:
                continue
            # The group's places in its chunks, from the place of its first block on.
            places = torch.arange(count) + index % self._blocks_per_chunk
            chunk_ids = torch.from_numpy(of_chunks.block_ids[first_chunk:]).long()[places // self._blocks_per_chunk]
            block_ids = torch.from_numpy(of_blocks.block_ids[first_block:first_block + count]).long()
            for tensor in tensors:
                blocks, chunks = self._blocks[tensor], self._chunks[tensor]
                at = (chunk_ids, places % self._blocks_per_chunk)
                if load:
                    blocks[block_ids] = chunks[at]
                else:
                    chunks[at] = blocks[block_ids]
                num_bytes += count * blocks.shape[1]
            first_block += count
            first_chunk += int(places[-1]) // self._blocks_per_chunk + 1
        self._finished.append(TransferResult(job_id, True, num_bytes, time.monotonic() - begin))
        return True
