/// Prices of places: the least one of a range is found, the first or the last of equals.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace kvplace {

/// A segment tree; O(log n) per call.
class LeastTree {
 public:
  struct Found {
    double price = std::numeric_limits<double>::infinity();
    std::uint32_t at = 0;
  };

  explicit LeastTree(std::uint32_t size) {
    while (leaves_ < size) {
      leaves_ *= 2;
    }
    least_.assign(2 * leaves_, std::numeric_limits<double>::infinity());
  }

  void set(std::uint32_t at, double price) {
    std::size_t node = leaves_ + at;
    least_[node] = price;
    for (node /= 2; node > 0; node /= 2) {
      const double least = least_[2 * node] < least_[2 * node + 1] ? least_[2 * node] : least_[2 * node + 1];
      if (least_[node] == least) {
        return;
      }
      least_[node] = least;
    }
  }
  [[nodiscard]] double at(std::uint32_t place) const { return least_[leaves_ + place]; }

  /// The least of [first, last], and where it is: infinity if first > last.
  template <bool last_of_equals>
  [[nodiscard]] Found find(std::uint32_t first, std::uint32_t last) const {
    Found found;
    if (first > last) {
      return found;
    }
    std::size_t left_best = 0;
    std::size_t right_best = 0;
    double left = found.price;
    double right = found.price;
    std::size_t low = leaves_ + first;
    std::size_t high = leaves_ + last + 1;
    for (; low < high; low /= 2, high /= 2) {
      if (low % 2 == 1) {  // nodes from the left end inwards
        if (left_best == 0 || least_[low] < left || (last_of_equals && least_[low] == left)) {
          left = least_[low];
          left_best = low;
        }
        ++low;
      }
      if (high % 2 == 1) {  // from the right end inwards
        --high;
        if (right_best == 0 || least_[high] < right || (!last_of_equals && least_[high] == right)) {
          right = least_[high];
          right_best = high;
        }
      }
    }
    const bool take_right = left_best == 0 || (right_best != 0 && (right < left || (last_of_equals && right == left)));
    std::size_t node = take_right ? right_best : left_best;
    found.price = least_[node];
    while (node < leaves_) {
      const bool in_left = least_[2 * node] == found.price;
      const bool in_right = least_[2 * node + 1] == found.price;
      node = 2 * node + ((last_of_equals ? in_right : !in_left) ? 1 : 0);
    }
    found.at = static_cast<std::uint32_t>(node - leaves_);
    return found;
  }

 private:
  std::size_t leaves_ = 1;
  std::vector<double> least_;
};

}  // namespace kvplace
