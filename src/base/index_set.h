/// A set of small integers in which the largest member and neighbours are found in O(1).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvplace {

/// A set of integers below a bound that knows its largest member and each member's neighbours; a tree of 64-way words.
class IndexSet {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  explicit IndexSet(std::size_t bound = 0) {
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
  [[nodiscard]] std::uint32_t last() const { return empty() ? kNone : descend(levels_.size(), 0, true); }

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

}  // namespace kvplace
