/// Placements by rule: which blocks are to be near depends on nothing but their layer and position.
#pragma once

#include <algorithm>
#include <concepts>
#include <memory>
#include <utility>
#include <vector>

#include "kvplace/policy/policy.h"
#include "policy/support/buffer_policy.h"

namespace kvplace {

/// A block's place in its request's pages, or among the experts.
[[nodiscard]] inline std::uint32_t position_of(const BlockLayout& layout, BlockId id) {
  return layout.kind(id) == BlockKind::kKvPage ? layout.page(id) : id.value();
}

/// The share of the blocks that exist at the first decode step for which near has room; 1 if there are none.
[[nodiscard]] inline double share_that_fits(const Instance& instance) {
  const BlockLayout& layout = instance.layout();
  const std::int64_t pages = layout.initial_blocks() - layout.experts;
  const Bytes all = instance.all_expert_bytes() + instance.kv_row_bytes() * pages;
  return all.value() == 0 ? 1 : std::min(1.0, instance.capacity() / all);
}

/// alpha*: the share of bytes read near that keeps both sides busy.
[[nodiscard]] inline double balanced_share(const Instance& instance) {
  const double near = instance.step_time().rate(Channel::kNearMem).value();
  return near / (near + instance.step_time().far_read_bandwidth().value());
}

template <class T>
concept PlacementRule = requires(T rule, const Instance& instance, LayerIndex layer, BlockId id) {
  rule.start(instance);
  { rule.chosen(layer, id) } -> std::same_as<bool>;
};

/// Chosen blocks enter with their first write or read, while there is room, and stay. Others that are near at the start
/// leave, in order of entry, when their room is wanted.
template <PlacementRule Rule>
class PlacedPolicy final : public CausalPolicy {
 public:
  PlacedPolicy(Pooling pooling, Rule rule) : pooling_(pooling), rule_(std::move(rule)) {}

  void start(const PolicyContext& context) override {
    instance_ = context.instance;
    rule_.start(*instance_);
    const std::size_t num_pools = pooling_ == Pooling::kPerLayer ? instance_->layers() : 1;
    pools_.clear();
    for (std::size_t pool = 0; pool < num_pools; ++pool) {
      pools_.push_back({buffer_budget(*instance_, num_pools, pool), {}});
    }
    for (const BlockIndex block : context.initial_near) {
      Pool& pool = pool_of(instance_->layer_of(block));
      pool.room -= instance_->block_bytes(block);
      if (!chosen(block)) {
        pool.guests.push_back(block);
      }
    }
  }

  void step(const StepInput& input, Decision& decision) override {
    if (!input.ended.empty()) {
      end(pool_of(input.layer), input.ended);
    }
    for (const BlockIndex block : input.written) {
      place(input.layer, block, decision);
    }
    for (const BlockIndex block : input.misses) {
      place(input.layer, block, decision);
    }
  }

 private:
  struct Pool {
    Bytes room;
    std::vector<BlockIndex> guests;  // near at the start and not chosen, in order of entry
    std::size_t guests_gone = 0;
  };

  [[nodiscard]] Pool& pool_of(LayerIndex layer) { return pools_[pooling_ == Pooling::kPerLayer ? layer.value() : 0]; }
  void end(Pool& pool, std::span<const BlockIndex> ended) {
    for (const BlockIndex block : ended) {
      pool.room += instance_->block_bytes(block);
    }
    pool.guests.erase(pool.guests.begin(), pool.guests.begin() + static_cast<std::ptrdiff_t>(pool.guests_gone));
    pool.guests_gone = 0;
    erase_ended(pool.guests, ended);
  }
  [[nodiscard]] bool chosen(BlockIndex block) {
    return rule_.chosen(instance_->layer_of(block), instance_->id_of(block));
  }
  void place(LayerIndex layer, BlockIndex block, Decision& decision) {
    if (!chosen(block)) {
      return;
    }
    Pool& pool = pool_of(layer);
    const Bytes size = instance_->block_bytes(block);
    while (pool.room < size && pool.guests_gone < pool.guests.size()) {
      const BlockIndex guest = pool.guests[pool.guests_gone++];
      pool.room += instance_->block_bytes(guest);
      decision.evict.push_back(guest);
    }
    if (size <= pool.room) {
      pool.room -= size;
      decision.promote.push_back(block);
    }
  }

  Pooling pooling_;
  Rule rule_;
  const Instance* instance_ = nullptr;
  std::vector<Pool> pools_;
};

template <PlacementRule Rule>
[[nodiscard]] AnyPolicy placed(Pooling pooling, Rule rule) {
  return std::unique_ptr<CausalPolicy>(std::make_unique<PlacedPolicy<Rule>>(pooling, std::move(rule)));
}

}  // namespace kvplace
