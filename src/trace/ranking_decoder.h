/// The ranking stream of a chunk (docs/trace_format.md): most of the bytes of a trace that has one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kvplace/base/units.h"
#include "trace/dispatch/ranking_kernel.h"
#include "trace/varint.h"

namespace kvplace {

/// Where a layer's last ranking is among those decoded.
struct RankingPlace {
  std::size_t begin = 0;
  std::size_t size = 0;
};

/// Appends one record's ranking to `out` and makes it the layer's `previous`; false if it is damaged. The same with and
/// without a kernel.
[[nodiscard]] bool decode_ranking(VarintReader& in, std::uint32_t num_blocks, RankingKernel kernel,
                                  RankingPlace& previous, std::vector<BlockId>& out);

}  // namespace kvplace
