#include <algorithm>
#include <cmath>

#include "advise/setup.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kMostLayers = 16;  // of a synthetic trace
constexpr std::uint32_t kDenseSteps = 4;
constexpr double kReads = 4e6;
constexpr std::uint32_t kLeastSteps = 64;
constexpr std::uint32_t kMostSteps = 256;
constexpr std::uint32_t kExpertSteps = 256;

}  // namespace

Status Stands::make(double context_factor) {
  layers_ = traced_layers(model_);
  if (options_.trace != nullptr) {
    const TraceMeta& meta = options_.trace->meta();
    if (meta.layout.experts > 0 || meta.layout.requests > 1 || meta.layout.served != nullptr) {
      return bad_input(options_.trace->path() + ": advise takes a trace of one request's KV, without experts" +
                       (meta.layout.served != nullptr ? ": one of those that the served batch was merged of" : ""));
    }
    workload_ = options_.trace->path();
    kv_ = {options_.trace, static_cast<double>(layers_) / meta.layers, 0};
    kv_.tokens = static_cast<double>(options_.trace->totals().reads) /
                 std::max(1.0, 1.0 * meta.layers * options_.trace->totals().steps) * meta.layout.block_tokens;
    return {};
  }
  workload_ = options_.workload.empty() ? workload_of(model_) : options_.workload;
  if (workload_ == "experts") {  // the KV beside them
    KVPLACE_TRY(workload_config({"experts", {}, {}}, model_));
    workload_ = workload_of(model_);
  }
  const double middle = context_factor * (options_.context + options_.output / 2.0);
  Workload workload{workload_, static_cast<std::uint32_t>(std::max(1.0, std::round(middle))), {}};
  KVPLACE_ASSIGN(config, workload_config(workload, model_));
  const std::uint32_t whole = config.layers;
  config.layers = std::min(whole, kMostLayers);
  config.churn.early_layers = static_cast<std::uint32_t>(
      std::llround(static_cast<double>(config.churn.early_layers) * config.layers / std::max(1u, whole)));
  const double reads = config.layers * std::max(1.0, config.budget.blocks + config.budget.share * config.prompt_tokens /
                                                                                config.block_tokens);
  config.steps = workload_ == "dense"
                     ? kDenseSteps
                     : static_cast<std::uint32_t>(std::clamp(kReads / reads, double{kLeastSteps}, double{kMostSteps}));
  if (config.prompt_tokens > config.steps / 2) {
    config.prompt_tokens -= config.steps / 2;
  }
  KVPLACE_ASSIGN(trace, open_generated(config, "workload " + workload_, context_));
  kv_trace_ = std::make_unique<TraceReader>(std::move(trace));
  kv_ = {kv_trace_.get(), static_cast<double>(whole) / config.layers, reads / config.layers * config.block_tokens};
  return {};
}

Result<Stand> Stands::experts(std::uint32_t read) {
  KVPLACE_ASSIGN(config, workload_config({"experts", {}, {}}, model_));
  const double whole = config.layers;
  const double chance = static_cast<double>(config.experts.active) / config.experts.count;
  const double beyond = (config.experts.overlap - chance) / std::max(1e-9, 1 - chance);
  config.layers = std::min(config.layers, kMostLayers);
  config.steps = kExpertSteps;
  config.experts.active = std::min(read, config.experts.count);
  const double share = static_cast<double>(config.experts.active) / config.experts.count;
  config.experts.overlap = share + beyond * (1 - share);
  std::unique_ptr<TraceReader>& trace = experts_[config.experts.active];
  if (!trace) {
    KVPLACE_ASSIGN(made, open_generated(config, "workload experts", context_));
    trace = std::make_unique<TraceReader>(std::move(made));
  }
  return Stand{trace.get(), whole / config.layers, 0};
}

}  // namespace kvplace
