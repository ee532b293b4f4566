/// Bisection over whole numbers: the least that reaches a target.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace kvplace {

/// Asks for one number at a time and is told whether it reaches the target. In the end `reaches` was told to reach it
/// and `fails`, below it, not to, unless all or none do.
class Bracket {
 public:
  enum class From : std::uint8_t {
    kEnds,   ///< both ends, then between: for what the largest reaches if any does
    kLeast,  ///< from the least upwards in doubling steps, then between: for what may fall again
  };

  /// REQUIRES: least <= most.
  Bracket(std::int64_t least, std::int64_t most, From from, double tolerance)
      : least_(least), most_(most), from_(from), tolerance_(tolerance) {}

  /// The number to try; none: the search is over.
  [[nodiscard]] std::optional<std::int64_t> next() const {
    if (!reaches_) {
      if (fails_ == most_) {
        return std::nullopt;
      }
      if (from_ == From::kEnds) {
        return most_;
      }
      return fails_ ? std::min(most_, 2 * (*fails_ - least_) + 1 + least_) : least_;
    }
    if (!fails_) {
      return *reaches_ == least_ ? std::nullopt : std::optional(least_);
    }
    const std::int64_t width = *reaches_ - *fails_;
    if (width <= 1 || static_cast<double>(width) <= tolerance_ * static_cast<double>(*reaches_)) {
      return std::nullopt;
    }
    return *fails_ + width / 2;
  }

  void tell(std::int64_t number, bool reached) { (reached ? reaches_ : fails_) = number; }

  [[nodiscard]] std::optional<std::int64_t> reaches() const { return reaches_; }
  [[nodiscard]] std::optional<std::int64_t> fails() const { return fails_; }

 private:
  std::int64_t least_;
  std::int64_t most_;
  From from_;
  double tolerance_;
  std::optional<std::int64_t> reaches_;
  std::optional<std::int64_t> fails_;
};

}  // namespace kvplace
