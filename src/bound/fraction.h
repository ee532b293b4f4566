/// Exact fractions, printed exactly and rounded down.
#pragma once

#include <cstdint>
#include <string>

#include "bound/int128.h"

namespace kvplace {

/// numerator / denominator; REQUIRES: denominator > 0.
struct Fraction {
  UInt128 numerator = 0;
  std::uint64_t denominator = 1;
};

/// "p/q" in lowest terms; "0/1" if it is 0.
[[nodiscard]] std::string exact_text(const Fraction& fraction);

/// Plain decimal without an exponent: at least the whole part, else 18 significant digits, rounded down; no zeros at
/// the end behind a point.
[[nodiscard]] std::string decimal_rounded_down(const Fraction& fraction);

/// The largest double that is not more.
[[nodiscard]] double double_rounded_down(const Fraction& fraction);

}  // namespace kvplace
