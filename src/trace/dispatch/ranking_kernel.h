/// Many entries of a ranking (docs/trace_format.md) at once, for processors that can: entries differ in length and kind
/// in ways that nothing foretells, so that one by one they cost a wrong guess each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kvplace/base/units.h"

namespace kvplace {

/// A record's ranking, partly decoded.
struct OpenRanking {
  const std::uint8_t* bytes = nullptr;  ///< of the first entry to come
  const std::uint8_t* bytes_end = nullptr;
  const BlockId* before = nullptr;  ///< the layer's ranking before this one
  std::size_t num_before = 0;
  std::uint32_t num_blocks = 0;
  BlockId* ranking = nullptr;
  std::size_t rank = 0;  ///< the first to come
  std::size_t num_ranks = 0;
};

/// Decodes some entries, perhaps none: up to the first that is long, whose code has needless bytes, that is damaged, or
/// that is near the end of the bytes. Those are left to a decoder that takes one at a time.
using RankingKernel = void (*)(OpenRanking& open);

/// Null where this processor has none.
[[nodiscard]] RankingKernel ranking_kernel();

}  // namespace kvplace
