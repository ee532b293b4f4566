#include "size/variation.h"

#include <algorithm>
#include <cmath>

#include "kvplace/model/report.h"

namespace kvplace {
namespace {

void clear_capacity(InstanceOptions& options) {
  options.near_capacity.reset();
  options.near_blocks_per_layer.reset();
  options.near_fraction.reset();
}

}  // namespace

void set_blocks_per_layer(InstanceSpec& spec, std::uint32_t blocks) {
  clear_capacity(spec.options);
  spec.options.near_blocks_per_layer = blocks;
}

void set_capacity(InstanceSpec& spec, Bytes capacity) {
  clear_capacity(spec.options);
  spec.options.near_capacity = capacity;
}

void scale_link(Hardware& hardware, double factor) {
  for (Rate* rate : {&hardware.far.link_read, &hardware.far.link_write}) {
    rate->spec = rate->spec * factor;
    rate->measured = rate->measured * factor;
  }
  hardware.far.link_read_by_size.scale(factor);
}

Bytes kv_bytes_of_request(const Instance& instance) {
  const std::uint32_t pages = instance.blocks_per_layer() - instance.layout().experts;
  return instance.kv_row_bytes() * std::int64_t{pages};
}

Bytes index_keys_of_request(const Instance& instance) {
  const std::optional<Model>& model = instance.spec().model;
  if (!model || instance.layout().requests > 1) {
    return Bytes(0);
  }
  const double of_token = static_cast<double>(model_totals(*model).selector_bytes_per_token.value());
  const double layers = instance.share().stands_in ? instance.layers() / static_cast<double>(model->layers) : 1;
  const auto tokens = static_cast<double>(instance.layout().prompt_tokens + instance.tokens_before(instance.steps()));
  return Bytes(std::llround(of_token * layers * tokens));
}

Bytes competing_bytes(const Instance& instance) { return kv_bytes_of_request(instance) + instance.all_expert_bytes(); }

Result<std::vector<ReplayResult>> replay_whole(const TraceReader& trace, std::span<const ReplayJob> jobs,
                                               const RunContext& context, std::span<TraceVisitor* const> visitors) {
  KVPLACE_ASSIGN(results, replay(trace, jobs, context, visitors));
  // Without a job only the visitors tell, which see what was decoded.
  const bool whole = std::all_of(results.begin(), results.end(), [](const ReplayResult& r) { return r.complete; });
  if (!whole || context.stop_requested()) {
    return interrupted("stopped before the answer was known; nothing is written");
  }
  return results;
}

}  // namespace kvplace
