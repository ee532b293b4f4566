/// What changes between the read sets of two steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kvplace/base/units.h"

namespace kvplace {

/// Writes the ids that are in one of two ascending lists only, ascending, and returns how many there are.
/// REQUIRES: `out` has room for the ids of both lists.
[[nodiscard]] std::size_t symmetric_difference(std::span<const BlockId> before, std::span<const BlockId> now,
                                               std::uint32_t* out);

}  // namespace kvplace
