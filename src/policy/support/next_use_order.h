/// Blocks by when they are used next: the farthest can be taken, O(1) amortised per use.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kvplace/base/units.h"

namespace kvplace {

/// A set of integers below a bound that knows its largest member; a tree of 64-way words.
class MaxSet {
 public:
  explicit MaxSet(std::size_t bound = 0) {
    do {
      bound = (bound + 63) / 64;
      levels_.emplace_back(bound, std::uint64_t{0});
    } while (bound > 1);
  }
  void insert(std::size_t i) {
    for (std::vector<std::uint64_t>& level : levels_) {
      const std::uint64_t before = level[i / 64];
      level[i / 64] |= std::uint64_t{1} << (i % 64);
      if (before != 0) {
        return;
      }
      i /= 64;
    }
  }
  void erase(std::size_t i) {
    for (std::vector<std::uint64_t>& level : levels_) {
      level[i / 64] &= ~(std::uint64_t{1} << (i % 64));
      if (level[i / 64] != 0) {
        return;
      }
      i /= 64;
    }
  }
  [[nodiscard]] bool empty() const { return levels_.back().empty() || levels_.back()[0] == 0; }
  /// REQUIRES: not empty.
  [[nodiscard]] std::size_t max() const {
    std::size_t i = 0;
    for (auto level = levels_.rbegin(); level != levels_.rend(); ++level) {
      i = i * 64 + 63 - static_cast<std::size_t>(std::countl_zero((*level)[i]));
    }
    return i;
  }

 private:
  std::vector<std::vector<std::uint64_t>> levels_;
};

/// Links of the blocks' lists, by BlockIndex; one table serves all orders of a policy, as a block is in one of them.
using NextUseLinks = std::vector<std::uint32_t>;

/// When a moment comes, all blocks due then are used, so their list is dropped whole and each is added again with its
/// next moment: nothing is ever unlinked from the middle. Memory: 4 bytes per moment.
class NextUseOrder {
 public:
  /// Moments are below `num_moments`; blocks never used again go into a list of their own.
  NextUseOrder(std::size_t num_moments, NextUseLinks& links)
      : heads_(num_moments + 1, kNone), filled_(num_moments + 1), links_(&links) {}

  [[nodiscard]] std::size_t never() const { return heads_.size() - 1; }

  void add(BlockIndex block, std::size_t moment) {
    (*links_)[block.value()] = heads_[moment];
    heads_[moment] = block.value();
    filled_.insert(moment);
  }
  /// All blocks due at `moment` leave the order.
  void drop(std::size_t moment) {
    heads_[moment] = kNone;
    filled_.erase(moment);
  }
  [[nodiscard]] bool empty() const { return filled_.empty(); }
  /// REQUIRES: not empty.
  [[nodiscard]] std::size_t farthest() const { return filled_.max(); }
  BlockIndex take_farthest() {
    const std::size_t moment = farthest();
    const BlockIndex block(heads_[moment]);
    heads_[moment] = (*links_)[block.value()];
    if (heads_[moment] == kNone) {
      filled_.erase(moment);
    }
    return block;
  }

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;

  std::vector<std::uint32_t> heads_;  // by moment: first block of the list
  MaxSet filled_;
  NextUseLinks* links_;
};

}  // namespace kvplace
