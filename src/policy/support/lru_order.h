/// Least recently used leaves first.
#pragma once

#include <span>
#include <vector>

#include "kvplace/policy/policy.h"
#include "policy/support/recency_queue.h"

namespace kvplace {

class LruOrder {
 public:
  void start(const PolicyContext& context, std::size_t num_buffers) {
    times_.reset(context.instance->num_blocks());
    queues_.assign(num_buffers, RecencyQueue(times_));
  }
  void hit(std::size_t buffer, std::span<const BlockIndex> hits) { queues_[buffer].touch(hits); }
  void insert(std::size_t buffer, BlockIndex block) { queues_[buffer].touch(block); }
  void remove(std::size_t buffer, std::span<const BlockIndex> ended) {
    for (const BlockIndex block : ended) {
      queues_[buffer].remove(block);
    }
  }
  BlockIndex take_victim(std::size_t buffer) { return queues_[buffer].pop(); }

 private:
  TouchTimes times_;
  std::vector<RecencyQueue> queues_;
};

}  // namespace kvplace
