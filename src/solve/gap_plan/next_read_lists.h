/// Blocks by the step of their next read: soonest and farthest are found in O(1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/index_set.h"

namespace kvplace {

/// Lists of blocks by next read. All blocks due in a step are read in it, so their list is dropped whole: nothing is
/// unlinked from the middle. A block is in one list of all the orders that share `links`.
class NextReadLists {
 public:
  NextReadLists(std::size_t num_steps, std::vector<std::uint32_t>& links)
      : heads_(num_steps, IndexSet::kNone), filled_(num_steps), links_(&links) {}

  void add(std::uint32_t block, std::uint32_t step) {
    (*links_)[block] = heads_[step];
    heads_[step] = block;
    filled_.insert(step);
  }
  void drop(std::uint32_t step) {
    heads_[step] = IndexSet::kNone;
    filled_.erase(step);
  }
  /// REQUIRES: the step's list is not empty.
  std::uint32_t take(std::uint32_t step) {
    const std::uint32_t block = heads_[step];
    heads_[step] = (*links_)[block];
    if (heads_[step] == IndexSet::kNone) {
      filled_.erase(step);
    }
    return block;
  }
  [[nodiscard]] const IndexSet& steps() const { return filled_; }

 private:
  std::vector<std::uint32_t> heads_;
  IndexSet filled_;
  std::vector<std::uint32_t>* links_;
};

}  // namespace kvplace
