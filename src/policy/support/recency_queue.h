/// Blocks in order of their last touch: touch, remove and pop the oldest, O(1) amortised, without links to chase.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kvplace/base/units.h"

namespace kvplace {

/// When blocks were last touched, by BlockIndex; one table serves all queues of a policy, as a block is in one of them.
class TouchTimes {
 public:
  void reset(std::size_t num_blocks) { times_.assign(num_blocks, 0); }
  [[nodiscard]] std::uint32_t& operator[](BlockIndex block) { return times_[block.value()]; }

 private:
  std::vector<std::uint32_t> times_;
};

/// Every touch is appended to a log; an entry counts only if it is its block's last. A full log drops its dead entries,
/// or doubles if most are alive, so it stays within four times the blocks it orders.
class RecencyQueue {
 public:
  explicit RecencyQueue(TouchTimes& times) : times_(&times), log_(kSmallest) {}

  /// Makes `block` the newest, whether or not it was in the queue.
  void touch(BlockIndex block) {
    if (tail_ - head_ == log_.size() || tail_ == kLastTime) {
      make_room();
    }
    log_[tail_ & mask()] = block;
    (*times_)[block] = tail_++;
  }

  /// The same of each, in their order.
  void touch(std::span<const BlockIndex> blocks) {
    std::size_t touched = 0;
    while (touched < blocks.size()) {
      if (tail_ - head_ == log_.size() || tail_ == kLastTime) {
        make_room();
      }
      const std::size_t room = std::min<std::size_t>(log_.size() - (tail_ - head_), kLastTime - tail_);
      const std::size_t now = std::min(room, blocks.size() - touched);
      BlockIndex* const log = log_.data();
      const std::uint32_t mask = this->mask();
      std::uint32_t time = tail_;
      for (const BlockIndex block : blocks.subspan(touched, now)) {
        log[time & mask] = block;
        (*times_)[block] = time++;
      }
      tail_ = time;
      touched += now;
    }
  }

  /// Nothing if it is in none. REQUIRES: `block` is in no other queue.
  void remove(BlockIndex block) { (*times_)[block] = 0; }

  /// Whether any block is left.
  [[nodiscard]] bool empty() {
    while (head_ != tail_ && (*times_)[log_[head_ & mask()]] != head_) {
      ++head_;
    }
    return head_ == tail_;
  }

  /// Takes out the oldest. REQUIRES: not empty.
  BlockIndex pop() {
    for (;; ++head_) {
      const BlockIndex block = log_[head_ & mask()];
      if ((*times_)[block] == head_) {
        ++head_;
        (*times_)[block] = 0;
        return block;
      }
    }
  }

 private:
  static constexpr std::size_t kSmallest = 64;
  static constexpr std::uint32_t kLastTime = 0xffffffff;

  [[nodiscard]] std::uint32_t mask() const { return static_cast<std::uint32_t>(log_.size() - 1); }

  void make_room() {
    // No branch: whether a touch was its block's last is hard to guess.
    std::vector<BlockIndex> alive(tail_ - head_);
    std::size_t count = 0;
    for (std::uint32_t i = head_; i != tail_; ++i) {
      const BlockIndex block = log_[i & mask()];
      alive[count] = block;
      count += (*times_)[block] == i ? 1U : 0U;
    }
    alive.resize(count);
    if (alive.size() * 2 > log_.size()) {
      log_.resize(log_.size() * 2);
    }
    // Times only need to differ within the log, so counting starts anew; 0 means "in no queue".
    head_ = tail_ = 1;
    for (const BlockIndex block : alive) {
      log_[tail_ & mask()] = block;
      (*times_)[block] = tail_++;
    }
  }

  TouchTimes* times_;
  std::vector<BlockIndex> log_;  // a ring; its size is a power of 2
  std::uint32_t head_ = 1;
  std::uint32_t tail_ = 1;
};

}  // namespace kvplace
