#include "policy/support/far_cost.h"

#include <algorithm>
#include <cmath>

namespace kvplace {
namespace {

constexpr double kNewShare = 0.02;   // of the latest step in a layer's worth
constexpr double kLeastWorth = 0.1;  // so that blocks keep their order where nothing waits for far
// Layers gain and lose places by the root of their worth only: a place moves at the cost of a miss, and the steps that
// worth is learned from wander.
constexpr double kDamping = 0.5;

}  // namespace

void FarCost::start(const Instance& instance) {
  instance_ = &instance;
  const std::size_t groups = instance.options().barrier == Barrier::kLayer ? instance.layers() : 1;
  const StepTime& time = instance.step_time();
  near_to_far_ = time.far_read_bandwidth().value() / time.bandwidth(Channel::kNearMem).value();
  worth_.assign(groups, 1);
  log_worth_.assign(groups, 0);
}

void FarCost::observe(const StepInput& input) {
  idle_ = Bytes(0);
  if (instance_->options().barrier == Barrier::kLayer) {
    learn(input.layer.value(), input.loads, 1);
    return;
  }
  open_loads_ += input.loads;
  if (input.layer.value() + 1 == instance_->layers()) {
    learn(0, open_loads_, instance_->layers());
    open_loads_ = {};
  }
}

void FarCost::learn(std::size_t group, const Loads& loads, std::uint32_t layers) {
  const StepTime& time = instance_->step_time();
  near_waits_ = time.bottleneck(loads) == Channel::kNearMem;
  if (near_waits_ && time.overlap() == Overlap::kFull) {
    const auto of = [&loads](Channel channel) { return Bytes(loads.bytes[static_cast<std::size_t>(channel)]); };
    const Seconds near = of(Channel::kNearMem) / time.bandwidth(Channel::kNearMem);
    const double far = near.value() * time.far_read_bandwidth().value();
    idle_ = Bytes(static_cast<std::int64_t>(far)) - std::max(of(Channel::kFarLinkRead), of(Channel::kFarMem));
  }
  const Bytes block = instance_->kv_block_bytes() * std::int64_t{instance_->options().batch};
  Loads one_hit_less = loads;
  one_hit_less.add(Transfer::kReadFar, block);
  one_hit_less.add(Transfer::kReadNear, Bytes(0) - block);
  const double saved = (time(one_hit_less, layers) - time(loads, layers)) / (block / time.far_read_bandwidth());
  worth_[group] += kNewShare * (saved - worth_[group]);
  log_worth_[group] = static_cast<float>(kDamping * std::log(std::clamp(worth_[group], kLeastWorth, 1.0)));
}

}  // namespace kvplace
