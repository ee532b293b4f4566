/// What hot buffers have in common: a byte budget per layer (Instance::layer_capacity) or one for all layers; blocks
/// appended to and blocks read from far enter in ascending order, each pushing out what the buffer's order names
/// (formulation, "Policies").
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "kvplace/policy/policy.h"

namespace kvplace {

/// How many buffers share the near capacity.
enum class Pooling : std::uint8_t { kPerLayer, kAllLayers };
/// Whether blocks appended to enter, or only blocks read from far.
enum class Entering : std::uint8_t { kWrittenAndMisses, kMisses };

/// The bytes of `buffer`: all of the near capacity if there is one buffer, else what its layer has of it.
[[nodiscard]] inline Bytes buffer_budget(const Instance& instance, std::size_t num_buffers, std::size_t buffer) {
  return num_buffers == 1 ? instance.capacity()
                          : instance.layer_capacity(LayerIndex(static_cast<std::uint32_t>(buffer)));
}

/// A KV block of `buffer`; of a buffer of all layers the mean.
[[nodiscard]] inline Bytes block_of_buffer(const Instance& instance, std::size_t num_buffers, std::size_t buffer) {
  return num_buffers == 1 ? instance.mean_kv_block_bytes()
                          : instance.kv_block_bytes(LayerIndex(static_cast<std::uint32_t>(buffer)));
}

/// A share of so many bytes, rounded down.
[[nodiscard]] inline Bytes share_of(Bytes bytes, double share) {
  return Bytes(static_cast<std::int64_t>(static_cast<double>(bytes.value()) * share));
}

/// The same in whole blocks, as papers count: a share of the blocks that fit.
[[nodiscard]] inline Bytes share_in_blocks(Bytes bytes, double share, Bytes block) {
  const std::int64_t blocks = bytes.value() / block.value();
  return block * static_cast<std::int64_t>(static_cast<double>(blocks) * share);
}

/// The order in which blocks leave a buffer. Beside what is required, it may have
/// begin(buffer, step), called before the hits of a step, and
/// expect(buffer, block), called before room is made for `block`, which enters next.
template <class T>
concept BufferOrder = requires(T order, std::size_t buffer, BlockIndex block, std::span<const BlockIndex> hits,
                               const PolicyContext& context) {
  order.start(context, std::size_t{} /* buffers */);
  order.hit(buffer, hits);
  order.insert(buffer, block);
  order.remove(buffer, hits);                                 // blocks that are gone, ascending
  { order.take_victim(buffer) } -> std::same_as<BlockIndex>;  // REQUIRES: the buffer is not empty
};

/// Takes blocks that are gone, ascending, out of a queue.
template <class Queue>
void erase_ended(Queue& queue, std::span<const BlockIndex> ended) {
  const auto is_gone = [ended](BlockIndex block) { return std::binary_search(ended.begin(), ended.end(), block); };
  queue.erase(std::remove_if(queue.begin(), queue.end(), is_gone), queue.end());
}

template <BufferOrder Order>
class BufferPolicy final : public CausalPolicy {
 public:
  BufferPolicy(Pooling pooling, Entering entering, Order order = Order())
      : pooling_(pooling), entering_rule_(entering), order_(std::move(order)) {}

  void start(const PolicyContext& context) override {
    instance_ = context.instance;
    const std::size_t num_buffers = pooling_ == Pooling::kPerLayer ? instance_->layers() : 1;
    budgets_.clear();
    for (std::size_t buffer = 0; buffer < num_buffers; ++buffer) {
      budgets_.push_back(buffer_budget(*instance_, num_buffers, buffer));
    }
    used_.assign(num_buffers, Bytes(0));
    is_entering_.assign(instance_->num_blocks(), false);
    order_.start(context, num_buffers);
    for (const BlockIndex block : context.initial_near) {
      const std::size_t buffer = buffer_of(instance_->layer_of(block));
      used_[buffer] += instance_->block_bytes(block);
      expect(buffer, block);
      order_.insert(buffer, block);
    }
  }

  void step(const StepInput& input, Decision& decision) override {
    const std::size_t buffer = buffer_of(input.layer);
    if constexpr (requires { order_.begin(buffer, input.step); }) {
      order_.begin(buffer, input.step);
    }
    for (const BlockIndex block : input.ended) {
      used_[buffer] -= instance_->block_bytes(block);
    }
    if (!input.ended.empty()) {
      order_.remove(buffer, input.ended);
    }
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

  void expect(std::size_t buffer, BlockIndex block) {
    if constexpr (requires { order_.expect(buffer, block); }) {
      order_.expect(buffer, block);
    }
  }

  void enter(std::size_t buffer, BlockIndex block, Decision& decision) {
    const Bytes size = instance_->block_bytes(block);
    const Bytes budget = budgets_[buffer];
    if (size > budget) {
      return;
    }
    expect(buffer, block);
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

/// A buffer per layer that all blocks appended to or read from far enter, as `order` has them leave.
template <BufferOrder Order>
[[nodiscard]] AnyPolicy per_layer_buffers(Order order) {
  return std::unique_ptr<CausalPolicy>(
      std::make_unique<BufferPolicy<Order>>(Pooling::kPerLayer, Entering::kWrittenAndMisses, std::move(order)));
}

}  // namespace kvplace
