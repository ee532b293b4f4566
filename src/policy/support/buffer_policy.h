/// What hot buffers have in common: a byte budget per layer (Instance::layer_capacity) or one for all layers; blocks
/// appended to and blocks read from far enter in ascending order, each pushing out what the buffer's order names
/// (formulation, section 5).
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kvplace/policy/policy.h"

namespace kvplace {

/// How many buffers share the near capacity.
enum class Pooling : std::uint8_t { kPerLayer, kAllLayers };
/// Whether blocks appended to enter, or only blocks read from far.
enum class Entering : std::uint8_t { kWrittenAndMisses, kMisses };

/// The order in which blocks leave a buffer.
template <class T>
concept BufferOrder = requires(T order, std::size_t buffer, BlockIndex block, std::span<const BlockIndex> hits,
                               const PolicyContext& context) {
  order.start(context, std::size_t{} /* buffers */);
  order.hit(buffer, hits);
  order.insert(buffer, block);
  { order.take_victim(buffer) } -> std::same_as<BlockIndex>;  // REQUIRES: the buffer is not empty
};

template <BufferOrder Order>
class BufferPolicy final : public CausalPolicy {
 public:
  BufferPolicy(Pooling pooling, Entering entering) : pooling_(pooling), entering_rule_(entering) {}

  void start(const PolicyContext& context) override {
    instance_ = context.instance;
    const std::size_t num_buffers = pooling_ == Pooling::kPerLayer ? instance_->layers() : 1;
    budgets_.clear();
    for (std::size_t i = 0; i < num_buffers; ++i) {
      budgets_.push_back(pooling_ == Pooling::kPerLayer
                             ? instance_->layer_capacity(LayerIndex(static_cast<std::uint32_t>(i)))
                             : instance_->capacity());
    }
    used_.assign(num_buffers, Bytes(0));
    is_entering_.assign(instance_->num_blocks(), false);
    order_.start(context, num_buffers);
    for (const BlockIndex block : context.initial_near) {
      const std::size_t buffer = buffer_of(instance_->layer_of(block));
      used_[buffer] += instance_->block_bytes(block);
      order_.insert(buffer, block);
    }
  }

  void step(const StepInput& input, Decision& decision) override {
    const std::size_t buffer = buffer_of(input.layer);
    order_.hit(buffer, input.hits);
    candidates_.clear();
    if (entering_rule_ == Entering::kMisses) {
      candidates_.assign(input.misses.begin(), input.misses.end());
    } else {
      std::set_union(input.written.begin(), input.written.end(), input.misses.begin(), input.misses.end(),
                     std::back_inserter(candidates_));
    }
    for (const BlockIndex block : candidates_) {
      enter(buffer, block, decision);
    }
    // Of those that entered, some may have been pushed out again by later ones.
    for (const BlockIndex block : candidates_) {
      if (is_entering_[block.value()]) {
        is_entering_[block.value()] = false;
        decision.promote.push_back(block);
      }
    }
  }

 private:
  [[nodiscard]] std::size_t buffer_of(LayerIndex layer) const {
    return pooling_ == Pooling::kPerLayer ? layer.value() : 0;
  }

  void enter(std::size_t buffer, BlockIndex block, Decision& decision) {
    const Bytes size = instance_->block_bytes(block);
    const Bytes budget = budgets_[buffer];
    if (size > budget) {
      return;
    }
    while (used_[buffer] + size > budget) {
      const BlockIndex victim = order_.take_victim(buffer);
      used_[buffer] -= instance_->block_bytes(victim);
      if (is_entering_[victim.value()]) {
        is_entering_[victim.value()] = false;
      } else {
        decision.evict.push_back(victim);
      }
    }
    used_[buffer] += size;
    order_.insert(buffer, block);
    is_entering_[block.value()] = true;
  }

  Pooling pooling_;
  Entering entering_rule_;
  Order order_;
  const Instance* instance_ = nullptr;
  std::vector<Bytes> budgets_;  // by buffer
  std::vector<Bytes> used_;     // by buffer
  std::vector<bool> is_entering_;
  std::vector<BlockIndex> candidates_;
};

}  // namespace kvplace
