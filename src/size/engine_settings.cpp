#include "kvplace/size/engine_settings.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "kvplace/base/parse.h"
#include "size/variation.h"

namespace kvplace {
namespace {

std::uint64_t rounded_up(std::uint64_t a, std::uint64_t b) { return b == 0 ? 0 : (a + b - 1) / b; }

/// Tokens read in a step of a layer, of each request.
double tokens_read(const TraceReader& trace, const Instance& instance) {
  const double steps = std::max(1.0, static_cast<double>(instance.steps()) * instance.layers());
  return static_cast<double>(trace.totals().reads) / steps / instance.layout().requests;
}

std::string in_single_quotes(const nlohmann::ordered_json& json) { return "'" + json.dump() + "'"; }

}  // namespace

std::string hisparse_obstacle(const TraceReader& trace, const Instance& instance) {
  const BlockLayout& layout = instance.layout();
  const std::optional<Model>& model = instance.spec().model;
  const std::uint64_t top_k = model && model->attention.kind == "mla" ? model->attention.sparse_top_k : 0;
  if (top_k == 0) {
    return "HiSparse serves models with DeepSeek sparse attention (MLA and an indexer), which " +
           (model && !model->name.empty() ? model->name : "the trace's model") + " is not";
  }
  const std::string& dtype = model->attention.dtype;
  if (dtype != "bf16" && dtype != "fp8" && dtype != "fp8-flashmla") {
    return "HiSparse takes a KV cache in bf16 or fp8, not in " + dtype;
  }
  if (layout.block_tokens != 1) {
    return "HiSparse keeps single tokens, the trace has pages of " + std::to_string(layout.block_tokens);
  }
  if (layout.experts > 0) {
    return "HiSparse's buffer is for KV alone, here experts share the near capacity";
  }
  constexpr double kRounding = 0.01;
  const double read = tokens_read(trace, instance);
  const auto least = static_cast<double>(std::min<std::uint64_t>(top_k, layout.prompt_tokens));
  if (read > static_cast<double>(top_k) * (1 + kRounding) || read < least * (1 - kRounding)) {
    return "the trace reads " + format_number(std::round(read)) + " tokens per step and layer, the indexer of " +
           model->name + " picks " + std::to_string(top_k);
  }
  return {};
}

EngineSettings hisparse_settings(const HisparseNeeds& needs) {
  EngineSettings settings;
  settings.top_k = needs.top_k;
  settings.device_buffer_size = std::max(needs.buffer_tokens, settings.top_k);
  settings.host_to_device_ratio = rounded_up(needs.context, settings.device_buffer_size);
  settings.host_pool_gib = rounded_up(needs.kv_bytes_per_request * needs.requests, std::uint64_t{1} << 30);
  settings.sglang = "--disaggregation-mode decode --disable-radix-cache --enable-hisparse --hisparse-config " +
                    in_single_quotes({{"top_k", settings.top_k},
                                      {"device_buffer_size", settings.device_buffer_size},
                                      {"host_to_device_ratio", settings.host_to_device_ratio}});
  nlohmann::ordered_json connector{{"kv_connector", "HiSparseConnector"}, {"kv_role", "kv_both"}};
  connector["kv_connector_extra_config"]["host_pool_gib"] = settings.host_pool_gib;
  nlohmann::ordered_json attention;
  attention["hisparse_config"]["device_buffer_size"] = settings.device_buffer_size;
  settings.vllm =
      "--kv-transfer-config " + in_single_quotes(connector) + " --attention-config " + in_single_quotes(attention);
  return settings;
}

EngineSettings engine_settings(const Instance& instance, std::uint64_t buffer_blocks, std::uint32_t requests) {
  // A data-parallel replica has its own pools.
  const std::uint64_t batch = instance.share().requests_of(requests);
  const bool shared = instance.share().attention_tp > 1;
  const BlockLayout& layout = instance.layout();
  const std::uint64_t context =
      layout.prompt_tokens + rounded_up(instance.tokens_before(instance.steps()), layout.requests);
  const std::uint64_t buffer = buffer_blocks / layout.requests;
  EngineSettings settings =
      hisparse_settings({.top_k = instance.spec().model->attention.sparse_top_k,
                         .buffer_tokens = buffer,
                         .context = context,
                         .kv_bytes_per_request = static_cast<std::uint64_t>(kv_bytes_of_request(instance).value()),
                         .requests = batch});
  settings.assumes = {
      "the engine's policy is LRU per layer and request, the same buffer in each layer",
      "requests are like the trace's: context of " + std::to_string(context) + " tokens at its end",
      "SGLang: the device pool is what --mem-fraction-static leaves, here " + std::to_string(batch) +
          " x device_buffer_size tokens; host_to_device_ratio times it holds all of every request's KV",
      "SGLang: prefill and decode on instances of their own, these flags on the decode instance only",
      "vLLM: host_pool_gib is per data-parallel replica, for " + std::to_string(batch) +
          " requests; versions before HiSparseConnector took it in hisparse_config, beside device_buffer_size",
      "vLLM: HiSparse is experimental there, and for NVIDIA's processors only",
      shared ? "KV as sized here, of one GPU's share of the heads: no speculative decoding"
             : "KV of the model's heads as sized here: no tensor parallelism, no speculative decoding",
  };
  if (buffer < settings.top_k) {
    settings.assumes.push_back("HiSparse needs device_buffer_size >= top_k, so it is that: a buffer of " +
                               std::to_string(buffer) + " tokens would do");
  }
  return settings;
}

}  // namespace kvplace
