/// What moves make of many blocks' cheapest paths: the verifier's inner loop.
///
/// Compiled for several instruction sets; whole numbers, so all give the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bound/int128.h"
#include "bound/path_costs.h"

namespace kvplace {

/// Blocks side by side: by how much the cheapest path that has a block near, or arriving, costs more than the cheapest
/// that has it far [ticks].
struct BlockCosts {
  std::int64_t* near = nullptr;
  std::int64_t* arriving = nullptr;  ///< null if copies end in their step
  std::size_t count = 0;
};

/// Takes the moves of a block in and returns by how much the paths that have blocks far cost more than before,
/// together.
template <class Sum>
using MoveKernel = Sum (*)(const BlockCosts& blocks, const Moves& moves);

/// The fastest that this processor can run. REQUIRES: the sum fits 64 bits.
[[nodiscard]] MoveKernel<std::int64_t> move_kernel();
/// For any sum.
Int128 move_blocks_wide(const BlockCosts& blocks, const Moves& moves);

}  // namespace kvplace
