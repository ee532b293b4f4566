/// Blocks by the step of their next read: soonest and farthest are found in O(1).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvplace {

/// A set of integers below a bound that knows its largest member and each member's neighbours; a tree of 64-way words.
class StepSet {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  explicit StepSet(std::size_t bound = 0) {
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
  void set(std::size_t i, bool member) { member ? insert(i) : erase(i); }

  /// The largest member below `i`, or kNone.
  [[nodiscard]] std::uint32_t below(std::size_t i) const {
    for (std::size_t h = 0; h < levels_.size(); ++h) {
      if (i % 64 != 0) {
        const std::uint64_t word = levels_[h][i / 64] & ((std::uint64_t{1} << (i % 64)) - 1);
        if (word != 0) {
          return descend(h, i / 64 * 64 + 63 - static_cast<std::size_t>(std::countl_zero(word)), true);
        }
      }
      i /= 64;
    }
    return kNone;
  }
  /// The least member not below `i`, or kNone.
  [[nodiscard]] std::uint32_t from(std::size_t i) const {
    for (std::size_t h = 0; h < levels_.size(); ++h) {
      if (i / 64 >= levels_[h].size()) {
        return kNone;
      }
      const std::uint64_t word = levels_[h][i / 64] & (~std::uint64_t{0} << (i % 64));
      if (word != 0) {
        return descend(h, i / 64 * 64 + static_cast<std::size_t>(std::countr_zero(word)), false);
      }
      i = i / 64 + 1;
    }
    return kNone;
  }
  /// The largest member, or kNone.
  [[nodiscard]] std::uint32_t last() const {
    const std::uint64_t root = levels_.back().empty() ? 0 : levels_.back()[0];
    return root == 0 ? kNone : descend(levels_.size() - 1, 63 - static_cast<std::size_t>(std::countl_zero(root)), true);
  }

 private:
  [[nodiscard]] std::uint32_t descend(std::size_t height, std::size_t i, bool to_last) const {
    while (height-- > 0) {
      const std::uint64_t word = levels_[height][i];
      i = i * 64 + static_cast<std::size_t>(to_last ? 63 - std::countl_zero(word) : std::countr_zero(word));
    }
    return static_cast<std::uint32_t>(i);
  }

  std::vector<std::vector<std::uint64_t>> levels_;
};

/// Lists of blocks by next read. All blocks due in a step are read in it, so their list is dropped whole: nothing is
/// unlinked from the middle. A block is in one list of all the orders that share `links`.
class NextReadLists {
 public:
  NextReadLists(std::size_t num_steps, std::vector<std::uint32_t>& links)
      : heads_(num_steps, StepSet::kNone), filled_(num_steps), links_(&links) {}

  void add(std::uint32_t block, std::uint32_t step) {
    (*links_)[block] = heads_[step];
    heads_[step] = block;
    filled_.insert(step);
  }
  void drop(std::uint32_t step) {
    heads_[step] = StepSet::kNone;
    filled_.erase(step);
  }
  /// REQUIRES: the step's list is not empty.
  std::uint32_t take(std::uint32_t step) {
    const std::uint32_t block = heads_[step];
    heads_[step] = (*links_)[block];
    if (heads_[step] == StepSet::kNone) {
      filled_.erase(step);
    }
    return block;
  }
  [[nodiscard]] const StepSet& steps() const { return filled_; }

 private:
  std::vector<std::uint32_t> heads_;
  StepSet filled_;
  std::vector<std::uint32_t>* links_;
};

}  // namespace kvplace
