#include "kvplace/simulate/spent.h"

#include <algorithm>

namespace kvplace {
namespace {

/// Bytes of the mean decode step, of all layers.
struct MeanFixed {
  double weights = 0;  ///< from near
  double more = 0;     ///< Loads::near_more
};

MeanFixed mean_fixed(const Instance& instance) {
  const std::uint32_t steps = instance.num_fixed() == 1 ? 1 : instance.steps();
  MeanFixed mean;
  for (std::uint32_t step = 0; step < steps; ++step) {
    for (std::uint32_t layer = 0; layer < instance.layers(); ++layer) {
      const Instance::FixedLoads& fixed = instance.fixed_of(StepIndex(step), LayerIndex(layer));
      mean.weights += static_cast<double>(fixed.near_weights.value()) / steps;
      mean.more += static_cast<double>(fixed.loads.near_more) / steps;
    }
  }
  return mean;
}

/// The mean context as a share of the longest.
double mean_context(const Instance& instance) {
  if (instance.layout().served == nullptr) {
    const double prompt = instance.layout().prompt_tokens;
    return (prompt + (instance.steps() + 1.0) / 2) / std::max(1.0, prompt + instance.steps());
  }
  double sum = 0;
  double longest = 1;
  for (std::uint32_t step = 0; step < instance.steps(); ++step) {
    const auto tokens = static_cast<double>(instance.context_tokens(StepIndex(step)));
    sum += tokens;
    longest = std::max(longest, tokens);
  }
  return sum / std::max(1u, instance.steps()) / longest;
}

}  // namespace

Spent spent_in_step(const ReplayResult& result, const Instance& instance, double scale) {
  const GpuShare& share = instance.share();
  const Engine& engine = instance.spec().engine;
  const StepTime& time = instance.step_time();
  const double steps = std::max(1u, result.steps);
  const double near_rate = time.rate(Channel::kNearMem).value();
  const MeanFixed fixed = mean_fixed(instance);
  const double near_bytes = static_cast<double>(result.channel_bytes[at(Channel::kNearMem)]) / steps + fixed.more;
  Spent spent;
  const double peak = time.bandwidth(Channel::kNearMem).value();
  spent.weights = fixed.weights / (peak * engine.weights_efficiency) * scale;
  spent.selector = static_cast<double>(share.near.selector.value()) * mean_context(instance) / near_rate;
  spent.kv_near = std::max(0.0, near_bytes / near_rate * scale - spent.weights - spent.selector);
  const Seconds of_layer = engine.layer_overhead * share.layers_per_traced + time.overhead() +
                           (instance.tiered() ? engine.tiered_overhead : Seconds(0));
  spent.overhead = (of_layer.value() * instance.layers() + engine.step_overhead.value()) * scale;
  const double others = spent.weights + spent.selector + spent.kv_near + spent.overhead;
  spent.link = std::max(0.0, result.total.value() / steps * scale - others);
  return spent;
}

}  // namespace kvplace
