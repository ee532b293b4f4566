/// Gaps in order of time, in whole blocks. Boundaries are numbered 0 ... K: boundary r is before step r = t * layers +
/// l.
#pragma once

#include <cstdint>
#include <vector>

#include "solve/gaps/gap_classes.h"

namespace kvplace {

/// Blocks that are alike: read or born in step from - 1 (there from the start: `from` = 0), read next in step `to`.
struct GapClass {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::uint32_t blocks = 0;
  bool may_hold = true;  ///< false: the given start has them far
};

/// In order of `to`, then `from`. REQUIRES: blocks of one size, read whole.
[[nodiscard]] std::vector<GapClass> list_gaps(const GapClasses& classes, double block_bytes);

/// Where those of such a list begin that end in `step` or later.
[[nodiscard]] std::size_t first_ending(const std::vector<GapClass>& gaps, std::uint32_t step);

/// Gaps that are not held, of one class: the boundary from which on they are near, to + 1 if they are missed.
struct Arrival {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::uint32_t arrive = 0;
  std::uint32_t blocks = 0;
  bool may_hold = true;
};

}  // namespace kvplace
