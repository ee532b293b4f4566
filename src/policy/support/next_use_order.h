/// Blocks by when they are used next: the farthest can be taken, O(1) amortised per use.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/index_set.h"
#include "kvplace/base/units.h"

namespace kvplace {

/// Links of the blocks' lists, by BlockIndex; one table serves all orders of a policy, as a block is in one of them.
using NextUseLinks = std::vector<std::uint32_t>;

/// When a moment comes, all blocks due then are used, so their list is dropped whole and each is added again with its
/// next moment: little is ever unlinked from the middle. Memory: 4 bytes per moment.
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
  /// One block leaves the order if it is due at `moment`; O(blocks due then).
  void remove(BlockIndex block, std::size_t moment) {
    std::uint32_t* link = &heads_[moment];
    while (*link != kNone && *link != block.value()) {
      link = &(*links_)[*link];
    }
    if (*link == kNone) {
      return;
    }
    *link = (*links_)[block.value()];
    if (heads_[moment] == kNone) {
      filled_.erase(moment);
    }
  }
  [[nodiscard]] bool empty() const { return filled_.empty(); }
  /// REQUIRES: not empty.
  [[nodiscard]] std::size_t farthest() const { return filled_.last(); }
  BlockIndex take_farthest() { return take(farthest()); }
  /// The next moment not before `moment` at which blocks are due, or never().
  [[nodiscard]] std::size_t next_from(std::size_t moment) const {
    return std::min<std::size_t>(never(), filled_.from(moment));
  }
  /// One of those due then. REQUIRES: there is one.
  BlockIndex take(std::size_t moment) {
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
  IndexSet filled_;
  NextUseLinks* links_;
};

}  // namespace kvplace
