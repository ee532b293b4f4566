/// The block longest in the buffer leaves first, whether or not it was read since.
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "kvplace/policy/policy.h"
#include "policy/support/buffer_policy.h"

namespace kvplace {

class FifoOrder {
 public:
  void start(const PolicyContext&, std::size_t num_buffers) { queues_.assign(num_buffers, {}); }
  void hit(std::size_t, std::span<const BlockIndex>) {}
  void insert(std::size_t buffer, BlockIndex block) { queues_[buffer].push_back(block); }
  void remove(std::size_t buffer, std::span<const BlockIndex> ended) { erase_ended(queues_[buffer], ended); }
  BlockIndex take_victim(std::size_t buffer) {
    const BlockIndex block = queues_[buffer].front();
    queues_[buffer].pop_front();
    return block;
  }

 private:
  std::vector<std::deque<BlockIndex>> queues_;
};

}  // namespace kvplace
