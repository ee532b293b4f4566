/// Which of many gaps began first.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace kvplace {

/// A set of gaps by number, with the boundary each began at: the first to begin of those from a number on is found in
/// O(log).
class EarliestTree {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  explicit EarliestTree(std::size_t num_gaps) {
    while (leaves_ < num_gaps) {
      leaves_ *= 2;
    }
    least_.assign(2 * leaves_, kNone);
  }

  void insert(std::size_t gap, std::uint32_t from) { set(gap, from); }
  void erase(std::size_t gap) { set(gap, kNone); }

  /// Of the gaps `first` and above, or kNone; of equals the least number.
  [[nodiscard]] std::uint32_t from(std::size_t first) const {
    std::size_t best = 0;
    std::uint32_t least = kNone;
    for (std::size_t low = leaves_ + first, high = 2 * leaves_; low < high; low /= 2, high /= 2) {
      if (low % 2 == 1) {
        if (least_[low] < least) {
          least = least_[low];
          best = low;
        }
        ++low;
      }
      // `high` is a power of two, or was one: what it bounds ends with the last leaf.
    }
    if (least == kNone) {
      return kNone;
    }
    while (best < leaves_) {
      best = 2 * best + (least_[2 * best] == least ? 0 : 1);
    }
    return static_cast<std::uint32_t>(best - leaves_);
  }

 private:
  void set(std::size_t gap, std::uint32_t value) {
    std::size_t node = leaves_ + gap;
    least_[node] = value;
    for (node /= 2; node > 0; node /= 2) {
      const std::uint32_t below = std::min(least_[2 * node], least_[2 * node + 1]);
      if (least_[node] == below) {
        return;
      }
      least_[node] = below;
    }
  }

  std::size_t leaves_ = 1;
  std::vector<std::uint32_t> least_;  // of each subtree
};

}  // namespace kvplace
