/// When two times of a plan count as equal.
#pragma once

namespace kvplace {

/// Differences below this share of a far read's time are rounding.
inline constexpr double kTie = 1e-6;

}  // namespace kvplace
