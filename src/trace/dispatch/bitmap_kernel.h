/// The places of a bitmap's bits, ascending: a step's reads from the set that a chunk keeps (chunk_codec.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kvplace/base/units.h"

namespace kvplace {

/// Kernels may write so many places behind the last.
constexpr std::size_t kBitmapSpill = 16;

/// Writes the places of all bits to `out` and returns the end of what it wrote. Bit i of a word is place i of its 64.
using BitmapKernel = BlockId* (*)(const std::uint64_t* words, std::size_t num_words, BlockId* out);

/// The fastest that this processor can run.
[[nodiscard]] BitmapKernel bitmap_kernel();
BlockId* places_of_bits(const std::uint64_t* words, std::size_t num_words, BlockId* out);

}  // namespace kvplace
