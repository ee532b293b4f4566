/// A buffer per layer as settings of the engines that have one today: HiSparse in SGLang and in vLLM.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kvplace/instance/instance.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// In the engines' own names; tokens are slots of one request in one layer.
///
/// Sources: sgl-project/sglang docs/advanced_features/hisparse_guide.md ("device_buffer_size: number of token slots in
/// the per-request GPU device buffer", "host_to_device_ratio: ratio of logical pool size to device pool size";
/// "HiSparse works with models that use DeepSeek Sparse Attention", "requires PD disaggregation mode and is enabled on
/// the decode instance only"; its example gives --disable-radix-cache, which python/sglang/srt demands, as it demands a
/// KV cache in bfloat16 or fp8_e4m3);
/// vllm-project/vllm docs/design/hisparse.md ("host_pool_gib ... is the usable host-cache capacity per data-parallel
/// replica", "Status: experimental", "ROCm is not currently supported").
struct EngineSettings {
  std::uint64_t top_k = 0;                 ///< tokens read per step and layer
  std::uint64_t device_buffer_size = 0;    ///< tokens; at least top_k, as HiSparse demands
  std::uint64_t host_to_device_ratio = 0;  ///< whole, rounded up
  std::uint64_t host_pool_gib = 0;         ///< whole, rounded up
  std::string sglang;                      ///< flags of its server
  std::string vllm;                        ///< the same
  std::vector<std::string> assumes;        ///< a sentence each
};

/// A deployment as far as HiSparse's settings go.
struct HisparseNeeds {
  std::uint64_t top_k = 0;
  std::uint64_t buffer_tokens = 0;         ///< near of each layer of a request
  std::uint64_t context = 0;               ///< tokens of a request at its end
  std::uint64_t kv_bytes_per_request = 0;  ///< of all layers
  std::uint64_t requests = 0;              ///< of a data-parallel replica
};

/// Without `assumes`.
[[nodiscard]] EngineSettings hisparse_settings(const HisparseNeeds& needs);

/// Why HiSparse cannot serve what the trace stands for, in words; empty if it can: a model with DeepSeek sparse
/// attention, whose indexer's choice the trace has, token by token.
[[nodiscard]] std::string hisparse_obstacle(const TraceReader& trace, const Instance& instance);

/// For `buffer_blocks` per layer of each of `requests`, which data-parallel replicas share.
///
/// REQUIRES: no hisparse_obstacle().
[[nodiscard]] EngineSettings engine_settings(const Instance& instance, std::uint64_t buffer_blocks,
                                             std::uint32_t requests);

}  // namespace kvplace
