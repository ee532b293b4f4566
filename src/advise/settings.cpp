#include "advise/settings.h"

#include <algorithm>
#include <cmath>

#include "kvplace/base/parse.h"
#include "kvplace/size/engine_settings.h"

namespace kvplace {
namespace {

std::string two_digits(double share) { return format_number(std::floor(share * 100) / 100); }

/// What both HiSparse engines need; none where they do not serve the model or the requests do not fit.
std::optional<EngineSettings> hisparse(const Advice& advice) {
  const Attention& attention = advice.spec.model->attention;
  const bool dtype = attention.dtype == "bf16" || attention.dtype == "fp8" || attention.dtype == "fp8-flashmla";
  const AdvicePoint* asked = advice.asked();
  if (attention.sparse_top_k == 0 || attention.kind != "mla" || !dtype || advice.block_tokens != 1 ||
      advice.fit != FarHolds::kKv || advice.requests_tiered < advice.spec.options.batch || asked->buffer_blocks == 0) {
    return std::nullopt;
  }
  const std::uint64_t buffer = asked->engine_buffer_blocks > 0 && !advice.spec.engine.name.empty()
                                   ? asked->engine_buffer_blocks
                                   : asked->buffer_blocks;
  return hisparse_settings({.top_k = attention.sparse_top_k,
                            .buffer_tokens = buffer,
                            .context = std::uint64_t{advice.context} + advice.output,
                            .kv_bytes_per_request = static_cast<std::uint64_t>(advice.kv_per_request.value()),
                            .requests = advice.requests_per_gpu});
}

std::string sglang(const Advice& advice) {
  const InstanceOptions& options = advice.spec.options;
  std::string flags = "--mem-fraction-static " + two_digits(1 - options.reserve.value_or(0)) + " --context-length " +
                      std::to_string(advice.context + advice.output) + " --max-running-requests " +
                      std::to_string(options.batch);
  if (options.gpus > 1) {
    flags += " --tp-size " + std::to_string(options.gpus);
    const std::uint32_t dp = options.attention_dp.value_or(1);
    flags += dp > 1 ? " --dp-size " + std::to_string(dp) + " --enable-dp-attention" : "";
    flags += options.expert_parallel ? " --ep-size " + std::to_string(options.gpus) : "";
  }
  return flags;
}

/// --max-num-seqs is of a data-parallel replica.
std::string vllm(const Advice& advice) {
  const InstanceOptions& options = advice.spec.options;
  const std::uint32_t dp = options.attention_dp.value_or(1);
  std::string flags = "--gpu-memory-utilization " + two_digits(1 - options.reserve.value_or(0)) + " --max-model-len " +
                      std::to_string(advice.context + advice.output) + " --max-num-seqs " +
                      std::to_string((options.batch + dp - 1) / dp);
  if (options.gpus > 1) {
    flags += " --tensor-parallel-size " + std::to_string(options.gpus / dp);
    flags += dp > 1 ? " --data-parallel-size " + std::to_string(dp) : "";
    flags += options.expert_parallel ? " --enable-expert-parallel" : "";
  }
  return flags;
}

std::string llama_cpp(const Advice& advice) {
  const InstanceOptions& options = advice.spec.options;
  const AdvicePoint* asked = advice.asked();
  double expert_layers = 0;
  for (const LayerGroup& group : layer_groups(*advice.spec.model)) {
    expert_layers += group.experts > 0 ? num_layers(group) : 0;
  }
  const auto on_host = static_cast<std::uint32_t>(std::ceil((1 - asked->experts_near) * expert_layers));
  return "--n-gpu-layers 999 --n-cpu-moe " + std::to_string(on_host) + " --ctx-size " +
         std::to_string((std::uint64_t{advice.context} + advice.output) * options.batch) + " --parallel " +
         std::to_string(options.batch);
}

std::string ktransformers(const Advice& advice) {
  std::uint32_t experts = 0;
  for (const LayerGroup& group : layer_groups(*advice.spec.model)) {
    experts = std::max(experts, group.experts);
  }
  return "--kt-num-gpu-experts " + std::to_string(static_cast<std::uint32_t>(advice.asked()->experts_near * experts)) +
         " " + sglang(advice);
}

}  // namespace

std::map<std::string, std::string> settings_of(const Advice& advice) {
  std::map<std::string, std::string> all;
  const Engine& engine = advice.spec.engine;
  const bool near = advice.requests_all_near >= advice.spec.options.batch;
  if (advice.fit == FarHolds::kKv) {
    if (engine.tiering == Tiering::kKv || (engine.name.empty() && !near)) {
      if (const std::optional<EngineSettings> tiered = hisparse(advice)) {
        all["sglang"] = sglang(advice) + " " + tiered->sglang;
        all["vllm"] = vllm(advice) + " " + tiered->vllm;
      }
    } else if (near) {
      all["sglang"] = sglang(advice);
      all["vllm"] = vllm(advice);
    }
  } else if (advice.fit == FarHolds::kExperts && advice.spec.options.gpus == 1) {
    if (engine.name == "llama.cpp") {
      all[engine.name] = llama_cpp(advice);
    } else if (engine.name == "ktransformers") {
      all[engine.name] = ktransformers(advice);
    }
  }
  return all;
}

}  // namespace kvplace
