/// Blocks near at each boundary, against the capacity: ranges are raised and lowered, the last full boundary is found.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace kvplace {

/// A segment tree; O(log n) per call.
class PlanRows {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  PlanRows(std::span<const std::int32_t> occupancy, std::int64_t capacity) {
    while (leaves_ < occupancy.size()) {
      leaves_ *= 2;
    }
    // A node's `most` includes what was added to it, not what was added above it.
    added_.assign(2 * leaves_, 0);
    most_.assign(2 * leaves_, kLowest);
    const auto full = static_cast<std::int32_t>(std::min<std::int64_t>(capacity, 0x3fffffff));
    for (std::size_t r = 0; r < occupancy.size(); ++r) {
      most_[leaves_ + r] = occupancy[r] - full;
    }
    for (std::size_t node = leaves_ - 1; node > 0; --node) {
      most_[node] = std::max(most_[2 * node], most_[2 * node + 1]);
    }
  }

  /// Adds to the boundaries first ... last.
  void add(std::uint32_t first, std::uint32_t last, std::int32_t amount) {
    std::size_t low = leaves_ + first;
    std::size_t high = leaves_ + last + 1;
    const std::size_t low_leaf = low;
    const std::size_t high_leaf = high - 1;
    for (; low < high; low /= 2, high /= 2) {
      if (low % 2 == 1) {
        raise(low++, amount);
      }
      if (high % 2 == 1) {
        raise(--high, amount);
      }
    }
    pull(low_leaf);
    pull(high_leaf);
  }
  /// The last full boundary up to and with `last`, or kNone.
  [[nodiscard]] std::uint32_t last_full(std::uint32_t last) const { return find(1, 0, leaves_, last, 0); }

 private:
  static constexpr std::int32_t kLowest = -0x40000000;

  void raise(std::size_t node, std::int32_t amount) {
    added_[node] += amount;
    most_[node] += amount;
  }
  void pull(std::size_t node) {
    for (node /= 2; node > 0; node /= 2) {
      most_[node] = std::max(most_[2 * node], most_[2 * node + 1]) + added_[node];
    }
  }
  [[nodiscard]] std::uint32_t find(std::size_t node, std::size_t first, std::size_t size, std::uint32_t last,
                                   std::int32_t above) const {
    if (first > last || most_[node] + above < 0) {
      return kNone;
    }
    if (size == 1) {
      return static_cast<std::uint32_t>(first);
    }
    const std::int32_t below = above + added_[node];
    const std::uint32_t right = find(2 * node + 1, first + size / 2, size / 2, last, below);
    return right != kNone ? right : find(2 * node, first, size / 2, last, below);
  }

  std::size_t leaves_ = 1;
  std::vector<std::int32_t> added_;
  std::vector<std::int32_t> most_;
};

}  // namespace kvplace
