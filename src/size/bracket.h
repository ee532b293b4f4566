/// Brackets over whole numbers: the least that reaches a target.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

namespace kvplace {

/// Asks for one number at a time and is told whether it reaches the target and how far it is from it. In the end
/// `reaches` was told to reach it and `fails`, below it, not to, unless all or none do.
///
/// Between two ends the next number comes from Chandrupatla's method (Advances in Engineering Software 28, 1997):
/// inverse quadratic interpolation where the last three numbers lie on a smooth curve, else the middle.
class Bracket {
 public:
  enum class From : std::uint8_t {
    kEnds,   ///< both ends, then between: for what the largest reaches if any does
    kLeast,  ///< from the least upwards in doubling steps, then between: for what may fall again
    kFirst,  ///< from `first` upwards in doubling steps, or down, then between: where the ends are far from anything
  };

  /// Numbers `least` to `most`. A search ends when both ends are this near, relative to the upper one: `tolerance`.
  struct Range {
    std::int64_t least = 0;
    std::int64_t most = 0;
    From from = From::kEnds;
    double tolerance = 0;
    /// Rising with the number: where the excess is nearly straight. Empty: the number itself.
    std::function<double(std::int64_t)> position{};
    std::int64_t first = 0;   ///< of kFirst, from least to most
    std::int64_t stride = 1;  ///< the first step upwards from it
  };

  /// REQUIRES: least <= most.
  explicit Bracket(Range range) : range_(std::move(range)) {}

  /// A number that surely reaches the target: the first to be tried.
  void know_reaches(std::int64_t number) { surely_reaches_ = number; }
  /// A number that surely does not, nor any below it: none of these is tried, it is if it may be the end.
  void know_fails(std::int64_t number) {
    if (number >= range_.least && (!surely_fails_ || number > *surely_fails_)) {
      surely_fails_ = number;
    }
  }
  /// A number to try before the least is, when none is known that does not reach the target.
  void suggest_low(std::int64_t number) { suggested_ = number; }

  /// The number to try; none: the search is over.
  [[nodiscard]] std::optional<std::int64_t> next() const;

  /// `excess`: 0 or less if the target is reached, the larger the farther it is from it.
  void tell(std::int64_t number, bool reached, double excess);

  [[nodiscard]] std::optional<std::int64_t> reaches() const { return number_of(reaches_); }
  [[nodiscard]] std::optional<std::int64_t> fails() const { return number_of(fails_); }

 private:
  struct Tried {
    std::int64_t number = 0;
    double excess = 0;
  };

  [[nodiscard]] static std::optional<std::int64_t> number_of(const std::optional<Tried>& tried) {
    return tried ? std::optional(tried->number) : std::nullopt;
  }
  [[nodiscard]] double position(std::int64_t number) const {
    return range_.position ? range_.position(number) : static_cast<double>(number);
  }
  [[nodiscard]] std::optional<std::int64_t> next_without_reaching() const;
  [[nodiscard]] std::optional<std::int64_t> next_without_failing() const;
  [[nodiscard]] std::int64_t expected() const;
  [[nodiscard]] double share_of_the_way() const;

  Range range_;
  std::optional<std::int64_t> surely_reaches_;
  std::optional<std::int64_t> surely_fails_;
  std::optional<std::int64_t> suggested_;
  std::optional<Tried> reaches_;
  std::optional<Tried> fails_;
  std::optional<Tried> replaced_;  // the end that the last number took the place of
  bool last_reached_ = false;
};

}  // namespace kvplace
