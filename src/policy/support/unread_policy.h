/// Placement by birth, eviction of what is not read: new blocks stay near while there is room, and once near is fuller
/// than a threshold, blocks not read for a while leave. Nothing is brought in.
#pragma once

#include <vector>

#include "kvplace/policy/policy.h"
#include "policy/support/block_list.h"
#include "policy/support/buffer_policy.h"

namespace kvplace {

class UnreadPolicy final : public CausalPolicy {
 public:
  /// A block leaves in its layer's step if none of the last `window` decode steps, the one at hand included, read it.
  UnreadPolicy(std::uint32_t window, double threshold) : window_(window), threshold_(threshold) {}

  void start(const PolicyContext& context) override {
    instance_ = context.instance;
    full_ = share_of(instance_->capacity(), threshold_);
    used_ = Bytes(0);
    links_.reset(*instance_);
    near_.assign(instance_->layers(), BlockList(links_));
    read_in_.assign(instance_->num_blocks(), 0);
    for (const BlockIndex block : context.initial_near) {
      used_ += instance_->block_bytes(block);
      near_[instance_->layer_of(block).value()].push_back(block);
    }
  }

  void step(const StepInput& input, Decision& decision) override {
    BlockList& near = near_[input.layer.value()];
    const std::uint32_t now = input.step.value() + 1;
    for (const BlockIndex block : input.ended) {
      used_ -= instance_->block_bytes(block);
      near.remove(block);
    }
    for (const BlockIndex block : input.hits) {
      read_in_[block.value()] = now;
      near.move_to_back(block);
    }
    for (std::size_t i = 0; i < input.written.size(); ++i) {
      const BlockIndex block = input.written[i];
      const Bytes size = instance_->block_bytes(block);
      if (input.written_is_new[i] != 0 && used_ + size <= instance_->capacity()) {
        used_ += size;
        read_in_[block.value()] = now;
        near.push_back(block);
        decision.promote.push_back(block);
      }
    }
    while (used_ > full_ && !near.empty() && now - read_in_[near.front().value()] >= window_) {
      const BlockIndex block = near.pop_front();
      used_ -= instance_->block_bytes(block);
      decision.evict.push_back(block);
    }
  }

 private:
  std::uint32_t window_;  // decode steps
  double threshold_;      // share of the capacity
  const Instance* instance_ = nullptr;
  Bytes full_;
  Bytes used_;
  BlockLinks links_;
  std::vector<BlockList> near_;         // by layer, in order of last read
  std::vector<std::uint32_t> read_in_;  // by BlockIndex: decode step of the last read, plus 1
};

}  // namespace kvplace
