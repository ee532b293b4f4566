#include "advise/room.h"

#include <algorithm>

namespace kvplace {

Room::Room(const InstanceSpec& spec, std::uint32_t layers, std::uint64_t longest) : spec_(spec) {
  meta_.layers = layers;
  meta_.layout.prompt_tokens = static_cast<std::uint32_t>(longest);
  totals_.blocks_per_layer = meta_.layout.prompt_tokens;  // of KV, for which there is room to keep
  const Result<GpuShare> one = share(1, 1, 1);
  groups_ = one ? one->attention_dp : 1;
  const Result<GpuShare> least = share(groups_, 1, 1);
  weights_fit_ = least && least->near.kv >= Bytes(0);
}

Result<GpuShare> Room::share(std::uint32_t batch, double experts_near, double weights_near) const {
  InstanceSpec spec = spec_;
  spec.options.batch = batch;
  if (experts_near < 1) {
    spec.options.experts_near = experts_near;
  }
  spec.options.weights_near = weights_near;
  return share_of_one_gpu(spec, meta_, totals_);
}

Result<Room::Plan> Room::plan(std::uint32_t batch) const {
  KVPLACE_ASSIGN(whole, share(batch, 1, 1));
  Plan plan;
  const double kv = static_cast<double>(whole.kv_bytes_per_token.value()) * meta_.layers * meta_.layout.prompt_tokens;
  plan.kv_of_request = kv;
  plan.share = whole;
  const auto near = [](const GpuShare& share) { return static_cast<double>(share.near.kv.value()); };
  plan.room = near(whole);
  const double without_weights = plan.room + static_cast<double>(whole.near.weights.value());
  const double far = static_cast<double>(whole.machine.far.capacity.value());
  const double requests = whole.requests;
  // An engine that puts experts on the host makes room for all KV that way.
  const bool yields = spec_.engine.tiering == Tiering::kExperts && whole.experts > 0;
  if (plan.room >= (yields ? requests * kv : 0)) {
    plan.fit = FarHolds::kKv;
    return plan;
  }
  if (weights_fit_ && !yields) {
    return plan;
  }
  if (whole.experts > 0) {
    KVPLACE_ASSIGN(dense, share(batch, 0, 1));
    const double experts = static_cast<double>((whole.near.weights - dense.near.weights).value());
    const double left = near(dense) - requests * kv;
    if (left >= 0 && experts > 0) {
      plan.experts_near = std::min(1.0, left / experts);
      KVPLACE_ASSIGN(with, share(batch, plan.experts_near, 1));
      plan.share = with;
      plan.room = requests * kv;
      plan.fit = (1 - plan.experts_near) * experts <= far ? FarHolds::kExperts : FarHolds::kNothing;
      return plan;
    }
  }
  const double weights = static_cast<double>(whole.near.weights.value());
  if (without_weights < 0) {
    return plan;
  }
  plan.weights_near = std::min(1.0, without_weights / weights);
  KVPLACE_ASSIGN(with, share(batch, 1, plan.weights_near));
  plan.share = with;
  plan.room = std::max(0.0, near(with));
  const double far_bytes = (1 - plan.weights_near) * weights + requests * kv - plan.room;
  plan.fit = far_bytes <= far ? FarHolds::kWeights : FarHolds::kNothing;
  return plan;
}

bool Room::all_near(std::uint32_t batch) const {
  const Result<Plan> planned = plan(batch);
  return planned && planned->fit == FarHolds::kKv && planned->room >= planned->share.requests * planned->kv_of_request;
}

bool Room::tiered(std::uint32_t batch, double near_bytes_each, bool full_copy) const {
  const Result<Plan> planned = plan(batch);
  if (!planned || planned->fit == FarHolds::kNothing) {
    return false;
  }
  if (planned->fit != FarHolds::kKv) {
    return true;
  }
  const double requests = planned->share.requests;
  const double kv = requests * planned->kv_of_request;
  const double far = static_cast<double>(planned->share.machine.far.capacity.value());
  return planned->room >= requests * std::min(near_bytes_each, planned->kv_of_request) &&
         (full_copy ? kv : kv - planned->room) <= far;
}

}  // namespace kvplace
