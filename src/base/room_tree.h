/// What is near at each boundary, against the capacity: ranges are raised and lowered, full boundaries are found.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace kvplace {

/// A segment tree; O(log n) per call. Counts blocks or bytes, as its user likes.
class RoomTree {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  template <class Count>
  RoomTree(std::span<const Count> occupancy, std::int64_t capacity) {
    while (leaves_ < occupancy.size()) {
      leaves_ *= 2;
    }
    // A node's `most` includes what was added to it, not what was added above it.
    added_.assign(2 * leaves_, 0);
    most_.assign(2 * leaves_, kLowest);
    for (std::size_t r = 0; r < occupancy.size(); ++r) {
      most_[leaves_ + r] = static_cast<std::int64_t>(occupancy[r]) - capacity;
    }
    for (std::size_t node = leaves_ - 1; node > 0; --node) {
      most_[node] = std::max(most_[2 * node], most_[2 * node + 1]);
    }
  }

  /// Adds to the boundaries first ... last.
  void add(std::uint32_t first, std::uint32_t last, std::int64_t amount) {
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
  /// The last boundary up to and with `last` without room for `size` more, or kNone.
  [[nodiscard]] std::uint32_t last_full(std::uint32_t last, std::int64_t size = 1) const {
    return find_last(1, 0, leaves_, last, -size);
  }
  /// The first such boundary from `first` on, or kNone.
  [[nodiscard]] std::uint32_t first_full(std::uint32_t first, std::int64_t size = 1) const {
    return find_first(1, 0, leaves_, first, -size);
  }

 private:
  static constexpr std::int64_t kLowest = -(std::int64_t{1} << 62);

  void raise(std::size_t node, std::int64_t amount) {
    added_[node] += amount;
    most_[node] += amount;
  }
  void pull(std::size_t node) {
    for (node /= 2; node > 0; node /= 2) {
      most_[node] = std::max(most_[2 * node], most_[2 * node + 1]) + added_[node];
    }
  }
  /// `least`: what a node's `most` must exceed, less what was added above it.
  [[nodiscard]] std::uint32_t find_last(std::size_t node, std::size_t first, std::size_t size, std::uint32_t last,
                                        std::int64_t least) const {
    if (first > last || most_[node] <= least) {
      return kNone;
    }
    if (size == 1) {
      return static_cast<std::uint32_t>(first);
    }
    const std::int64_t below = least - added_[node];
    const std::uint32_t right = find_last(2 * node + 1, first + size / 2, size / 2, last, below);
    return right != kNone ? right : find_last(2 * node, first, size / 2, last, below);
  }
  [[nodiscard]] std::uint32_t find_first(std::size_t node, std::size_t first, std::size_t size, std::uint32_t from,
                                         std::int64_t least) const {
    if (first + size <= from || most_[node] <= least) {
      return kNone;
    }
    if (size == 1) {
      return static_cast<std::uint32_t>(first);
    }
    const std::int64_t below = least - added_[node];
    const std::uint32_t left = find_first(2 * node, first, size / 2, from, below);
    return left != kNone ? left : find_first(2 * node + 1, first + size / 2, size / 2, from, below);
  }

  std::size_t leaves_ = 1;
  std::vector<std::int64_t> added_;
  std::vector<std::int64_t> most_;
};

}  // namespace kvplace
