/// The inner loops of attention, one version per instruction set, of which the best is chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kvplace/runtime/attention.h"

namespace kvplace {

/// Prefetches run `next`, of as many bytes as what is read.
struct AttentionKernels {
  const char* name;
  /// out[r * out_stride + t] = sum over d, in order, of queries[r * dim + d] * keys[d][t], for r < rows and the 16
  /// tokens t of a tile.
  using Scores = void (*)(const std::byte* keys, std::size_t dim, const float* queries, std::size_t rows, float* out,
                          std::size_t out_stride, const std::byte* next);
  /// sums[r * dim + d] += weights[r * weights_stride + t] * values[t][d], in order of t, for r < rows and begin <= t <
  /// end of a tile.
  using Values = void (*)(const std::byte* values, std::size_t dim, std::size_t begin, std::size_t end,
                          const float* weights, std::size_t weights_stride, std::size_t rows, float* sums,
                          const std::byte* next);
  /// By KvType.
  Scores scores[3];
  Values values[3];
  /// The sum, in whatever sense, of `bytes` bytes, a multiple of 256.
  std::uint64_t (*read)(const std::byte* data, std::size_t bytes, const std::byte* next);
};

extern const AttentionKernels kPortableAttention;
extern const AttentionKernels kAvx2Attention;    // x86 only
extern const AttentionKernels kAvx512Attention;  // x86 only

/// The best of this machine.
[[nodiscard]] const AttentionKernels& attention_kernels();
/// All that run on this machine, the best first.
[[nodiscard]] std::span<const AttentionKernels* const> all_attention_kernels();

}  // namespace kvplace
