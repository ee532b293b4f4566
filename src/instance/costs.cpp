// What an instance's steps cost beside bytes at the machine's peak (formulation, "Time").
#include <algorithm>
#include <cmath>
#include <utility>

#include "kvplace/base/parse.h"
#include "kvplace/instance/instance.h"

namespace kvplace {
namespace {

/// All GPUs share the arithmetic of all requests.
Seconds arithmetic_floor(const InstanceSpec& spec, double verified_per_step) {
  if (!spec.model || spec.hardware.peak_flops.value() <= 0) {
    return Seconds(0);
  }
  const double tokens_per_gpu = verified_per_step * spec.options.batch / spec.options.gpus;
  return spec.model->flops_per_layer_per_step * tokens_per_gpu / spec.hardware.peak_flops;
}

/// So many more bytes as those take longer, rounded down.
std::int64_t more_bytes(Bytes bytes, double longer) {
  return static_cast<std::int64_t>(std::floor(static_cast<double>(bytes.value()) * (longer - 1)));
}

bool has_size_costs(const FarTier& far) { return !far.link_read_by_size.points.empty() || far.link_granule > Bytes(0); }

}  // namespace

void Instance::set_times(double verified_per_step) {
  const bool has_pages = blocks_per_layer_ > layout_.experts;
  const Bytes all = kv_row_ * std::int64_t{most_pages()} + all_expert_bytes();
  tiered_ = capacity_ < all;

  // Far reads are of whole blocks, so the link is as fast as it is for pieces of their size. Of pieces of several
  // sizes the largest count, at which none is charged too much: bounds stay valid.
  Hardware machine = share_.machine;
  const auto crosses = [](const FixedLoads& fixed) { return fixed.loads.on(Channel::kFarLinkRead) > 0; };
  const bool weights_cross = std::any_of(fixed_.begin(), fixed_.end(), [&](const std::vector<FixedLoads>& layers) {
    return std::any_of(layers.begin(), layers.end(), crosses);
  });
  const Bytes piece = weights_cross ? Bytes(0) : block_sizes().back();
  if (has_size_costs(machine.far)) {
    const BytesPerSecond rate = machine.link_read_of(piece);
    machine.far.link_read = {rate, rate};
    if (weights_cross || block_sizes().size() > 1 || !whole_pages_) {
      notes_.push_back("pieces of several sizes cross the link: all are charged as those of " +
                       (weights_cross ? std::string("weights") : format_bytes(piece)) + ", the largest");
    }
  }

  const Engine& engine = spec_.engine;
  const double of_kv = layout_.experts > 0 ? engine.weights_efficiency : engine.kv_efficiency;
  if (layout_.experts > 0 && has_pages && engine.kv_efficiency != engine.weights_efficiency) {
    notes_.push_back("the trace has pages and experts: near reads of both are charged at weights_efficiency " +
                     format_number(engine.weights_efficiency));
  }
  EngineCosts costs;
  costs.near_share = of_kv;
  for (std::vector<FixedLoads>& layers : fixed_) {
    for (FixedLoads& fixed : layers) {
      fixed.loads.near_more = more_bytes(fixed.near_weights, of_kv / engine.weights_efficiency);
      if (engine.far_computes) {
        fixed.loads.far_more = more_bytes(fixed.weights - fixed.near_weights, 1 / engine.far_efficiency);
      }
    }
  }
  costs.overhead = engine.layer_overhead * share_.layers_per_traced + engine.step_overhead * (1.0 / layers_);
  costs.far_latency = machine.far.latency;
  const Seconds floor = arithmetic_floor(spec_, verified_per_step);
  const Seconds overhead =
      spec_.hardware.step_overhead +
      Seconds(share_.fabric_bytes_per_step > 0 ? share_.fabric_bytes_per_step / spec_.hardware.fabric.value() : 0);
  const auto time = [&] { return StepTime(machine, options_.overlap, floor, overhead, costs); };
  all_near_time_ = time();
  costs.overhead += tiered_ ? engine.tiered_overhead : Seconds(0);
  step_time_ = time();
}

StepTime Instance::bound_time() const {
  return options_.bound_costs == BoundCosts::kPeak ? step_time_.at_peak() : step_time_.without_latency();
}

Instance Instance::for_bounds() const {
  Instance machine = *this;
  if (options_.bound_costs == BoundCosts::kEngine) {
    for (std::vector<FixedLoads>& layers : machine.fixed_) {
      for (FixedLoads& fixed : layers) {
        fixed.loads.bytes[at(Channel::kNearMem)] += std::exchange(fixed.loads.near_more, 0);
        fixed.loads.bytes[at(Channel::kFarMem)] += std::exchange(fixed.loads.far_more, 0);
      }
    }
    machine.step_time_ = machine.all_near_time_ = step_time_.as_machine();
    machine.options_.bound_costs = machine.spec_.options.bound_costs = BoundCosts::kPeak;
  }
  return machine;
}

}  // namespace kvplace
