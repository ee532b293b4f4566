#include "policy/support/far_cost.h"

#include <algorithm>
#include <cmath>

namespace kvplace {
namespace {

constexpr double kNewShare = 0.05;   // of the latest step in a layer's worth
constexpr double kLeastWorth = 0.1;  // so that blocks keep their order where nothing waits for far

}  // namespace

void FarCost::start(const Instance& instance) {
  instance_ = &instance;
  const std::size_t groups = instance.groups().groups_per_decode_step();
  const StepTime& time = instance.step_time();
  near_to_far_ = time.far_read_bandwidth().value() / time.bandwidth(Channel::kNearMem).value();
  block_ = instance.mean_kv_block_bytes();
  worth_.assign(groups, 1);
  log_worth_.assign(groups, 0);
}

void FarCost::observe(const StepInput& input) {
  open_loads_ += input.loads;
  if (instance_->groups().ends_group(input.layer)) {
    learn(group_of(input.layer), open_loads_, instance_->groups().layers_per_group());
    open_loads_ = {};
  }
}

void FarCost::learn(std::size_t group, const Loads& loads, std::uint32_t layers) {
  const StepTime& time = instance_->step_time();
  near_waits_ = time.bottleneck(loads) == Channel::kNearMem;
  const std::int64_t batch = instance_->options().batch;
  const Bytes block = block_ * batch;
  Loads one_hit_less = loads;
  one_hit_less.add(Transfer::kReadFar, block, batch);
  one_hit_less.add(Transfer::kReadNear, Bytes(0) - block, -batch);
  const double saved = (time(one_hit_less, layers) - time(loads, layers)) / (block / time.far_read_bandwidth());
  worth_[group] += kNewShare * (saved - worth_[group]);
  log_worth_[group] = static_cast<float>(std::log(std::clamp(worth_[group], kLeastWorth, 1.0)));
}

}  // namespace kvplace
