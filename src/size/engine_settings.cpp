#include "kvplace/size/engine_settings.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "size/variation.h"

namespace kvplace {
namespace {

std::uint64_t rounded_up(std::uint64_t a, std::uint64_t b) { return b == 0 ? 0 : (a + b - 1) / b; }

std::uint64_t tokens_read(const TraceReader& trace, const Instance& instance) {
  if (instance.spec().model && instance.spec().model->attention.sparse_top_k > 0) {
    return instance.spec().model->attention.sparse_top_k;
  }
  const double steps = std::max(1.0, static_cast<double>(instance.steps()) * instance.layers());
  const double blocks = static_cast<double>(trace.totals().reads) / steps / instance.layout().requests;
  return static_cast<std::uint64_t>(std::llround(blocks * instance.layout().block_tokens));
}

std::string in_single_quotes(const nlohmann::ordered_json& json) { return "'" + json.dump() + "'"; }

}  // namespace

EngineSettings engine_settings(const TraceReader& trace, const Instance& instance, std::uint64_t buffer_blocks,
                               std::uint32_t batch) {
  const BlockLayout& layout = instance.layout();
  const std::uint64_t context = std::uint64_t{layout.prompt_tokens} + rounded_up(instance.steps(), layout.requests);
  EngineSettings settings;
  settings.top_k = tokens_read(trace, instance);
  const std::uint64_t buffer = buffer_blocks * layout.block_tokens / layout.requests;
  settings.device_buffer_size = std::max(buffer, settings.top_k);
  settings.host_to_device_ratio = rounded_up(context, settings.device_buffer_size);
  const auto kv = static_cast<std::uint64_t>(kv_bytes_of_request(instance).value());
  settings.host_pool_gib = rounded_up(kv * batch, std::uint64_t{1} << 30);
  settings.sglang = "--enable-hisparse --hisparse-config " +
                    in_single_quotes({{"top_k", settings.top_k},
                                      {"device_buffer_size", settings.device_buffer_size},
                                      {"host_to_device_ratio", settings.host_to_device_ratio}});
  settings.vllm = "--attention-config " + in_single_quotes({{"hisparse_config",
                                                             {{"host_pool_gib", settings.host_pool_gib},
                                                              {"device_buffer_size", settings.device_buffer_size}}}});
  settings.assumes = {
      "the engine's policy is LRU per layer and request, the same buffer in each layer",
      "requests are like the trace's: context of " + std::to_string(context) + " tokens at its end",
      "SGLang: the device pool is what --mem-fraction-static leaves, here " + std::to_string(batch) +
          " x device_buffer_size tokens; host_to_device_ratio times it holds all of every request's KV",
      "vLLM: host_pool_gib is per data-parallel replica, for " + std::to_string(batch) +
          " requests; recent versions take both in kv_connector_extra_config of HiSparseConnector",
      "KV of the model's heads as sized here: no tensor parallelism, no speculative decoding",
  };
  if (buffer < settings.top_k) {
    settings.assumes.push_back("HiSparse needs device_buffer_size >= top_k, so it is that: a buffer of " +
                               std::to_string(buffer) + " tokens would do");
  }
  return settings;
}

}  // namespace kvplace
