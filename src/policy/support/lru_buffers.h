/// Near blocks of each layer in order of last use, for policies that bring in more than what is read: uses and entries
/// come in any order, then all that does not fit leaves at once.
#pragma once

#include <vector>

#include "kvplace/policy/policy.h"
#include "policy/support/buffer_policy.h"
#include "policy/support/recency_queue.h"

namespace kvplace {

class LruBuffers {
 public:
  void start(const PolicyContext& context) {
    instance_ = context.instance;
    used_.assign(instance_->layers(), Bytes(0));
    state_.assign(instance_->num_blocks(), State::kFar);
    times_.reset(instance_->num_blocks());
    queues_.assign(instance_->layers(), RecencyQueue(times_));
    entered_.clear();
    for (const BlockIndex block : context.initial_near) {
      enter(block);
      state_[block.value()] = State::kNear;
    }
    entered_.clear();
  }

  /// Near, or entered since the last settle().
  [[nodiscard]] bool holds(BlockIndex block) const { return state_[block.value()] != State::kFar; }

  /// The most recent use is now of `block`, if it is held.
  void use(BlockIndex block) {
    if (holds(block)) {
      queues_[instance_->layer_of(block).value()].touch(block);
    }
  }
  /// A use that brings `block` in, unless it is larger than the buffer.
  void enter(BlockIndex block) {
    if (!holds(block) && instance_->block_bytes(block) <= instance_->layer_capacity(instance_->layer_of(block))) {
      state_[block.value()] = State::kEntered;
      used_[instance_->layer_of(block).value()] += instance_->block_bytes(block);
      entered_.push_back(block);
    }
    use(block);
  }
  /// Blocks that are gone with their requests.
  void end(std::span<const BlockIndex> ended) {
    for (const BlockIndex block : ended) {
      const std::uint32_t layer = instance_->layer_of(block).value();
      used_[layer] -= instance_->block_bytes(block);
      queues_[layer].remove(block);
      state_[block.value()] = State::kFar;
    }
  }
  /// The blocks of `layer` used longest ago leave until the others fit.
  void shrink(LayerIndex layer, Decision& decision) {
    Bytes& used = used_[layer.value()];
    while (used > instance_->layer_capacity(layer)) {
      const BlockIndex victim = queues_[layer.value()].pop();
      used -= instance_->block_bytes(victim);
      if (state_[victim.value()] == State::kNear) {
        decision.evict.push_back(victim);
      }
      state_[victim.value()] = State::kFar;
    }
  }
  /// What entered and is still held is promoted. REQUIRES: the layers that blocks entered have been shrunk.
  void settle(Decision& decision) {
    for (const BlockIndex block : entered_) {
      if (state_[block.value()] == State::kEntered) {
        state_[block.value()] = State::kNear;
        decision.promote.push_back(block);
      }
    }
    entered_.clear();
  }

 private:
  enum class State : std::uint8_t { kFar, kNear, kEntered };

  const Instance* instance_ = nullptr;
  std::vector<Bytes> used_;   // by layer
  std::vector<State> state_;  // by BlockIndex
  TouchTimes times_;
  std::vector<RecencyQueue> queues_;  // by layer
  std::vector<BlockIndex> entered_;
};

/// Calls visit(block) for the blocks written or read from far, ascending.
template <class Visit>
void for_each_entering(const StepInput& input, Visit visit) {
  auto written = input.written.begin();
  for (const BlockIndex missed : input.misses) {
    for (; written != input.written.end() && *written < missed; ++written) {
      visit(*written);
    }
    visit(missed);
  }
  for (; written != input.written.end(); ++written) {
    visit(*written);
  }
}

}  // namespace kvplace
