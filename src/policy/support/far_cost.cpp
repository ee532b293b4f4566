#include "policy/support/far_cost.h"

#include <algorithm>
#include <cmath>

namespace kvplace {
namespace {

constexpr double kNewShare = 0.02;   // of the latest step in far_share_
constexpr double kLeastWorth = 0.1;  // so that blocks keep their order where nothing waits for far
// Layers gain and lose places by the root of their worth only: a place moves at the cost of a miss, and the shares that
// worth is made of wander.
constexpr double kDamping = 0.5;

}  // namespace

void FarCost::start(const Instance& instance) {
  instance_ = &instance;
  const std::size_t groups = instance.options().barrier == Barrier::kLayer ? instance.layers() : 1;
  const StepTime& time = instance.step_time();
  near_to_far_ = time.far_read_bandwidth().value() / time.bandwidth(Channel::kNearMem).value();
  far_share_.assign(groups, 1);
  worth_.assign(groups, 1);
  log_worth_.assign(groups, 0);
}

void FarCost::observe(const StepInput& input) {
  if (instance_->options().overlap == Overlap::kNone) {
    return;  // far reads come before near ones and always count
  }
  if (instance_->options().barrier == Barrier::kLayer) {
    learn(input.layer.value(), input.loads);
    return;
  }
  open_loads_ += input.loads;
  if (input.layer.value() + 1 == instance_->layers()) {
    learn(0, open_loads_);
    open_loads_ = {};
  }
}

void FarCost::learn(std::size_t group, const Loads& loads) {
  near_waits_ = instance_->step_time().bottleneck(loads) == Channel::kNearMem;
  double& share = far_share_[group];
  share += kNewShare * ((near_waits_ ? 0.0 : 1.0) - share);
  worth_[group] = share - (1 - share) * near_to_far_;
  log_worth_[group] = static_cast<float>(kDamping * std::log(std::max(kLeastWorth, worth_[group])));
}

}  // namespace kvplace
