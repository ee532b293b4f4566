/// The inner loops of selection, in versions for several instruction sets of which the best is chosen at run time.
///
/// Every loop treats a row of scores in tiles of kLanes and in the same order whatever else is computed beside it, so
/// results do not depend on how decode steps are grouped or spread over threads.
#pragma once

#include <cstddef>
#include <span>

namespace kvplace {

/// Vectors (keys, page bounds) of a packed tile; rows of scores are padded to a multiple of it.
inline constexpr std::size_t kLanes = 16;
/// Queries that one call of `dot` takes.
inline constexpr std::size_t kRows = 8;

constexpr std::size_t padded(std::size_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

/// `n` below is a multiple of kLanes.
struct Kernels {
  const char* name;
  /// out[r * out_stride + i] = sum over d of queries[d * kRows + r] * packed[tile of i][d][lane of i] for r < kRows and
  /// i < tiles * kLanes, summed in order of d.
  void (*dot)(const float* packed, std::size_t tiles, std::size_t dim, const float* queries, float* out,
              std::size_t out_stride);
  /// The largest of row[0 ... n), NaN passed over.
  float (*max)(const float* row, std::size_t n);
  /// row[i] = exp(scale * (row[i] - max)) in place, 0 below 1e-38; returns the sum.
  float (*exp_sum)(float* row, std::size_t n, float max, float scale);
  /// sum[i] += factor * row[i].
  void (*add_scaled)(float* sum, const float* row, std::size_t n, float factor);
  /// sum[i] += factor * max(row[i], 0).
  void (*add_relu)(float* sum, const float* row, std::size_t n, float factor);
};

extern const Kernels kPortableKernels;
extern const Kernels kAvx2Kernels;    // x86 only
extern const Kernels kAvx512Kernels;  // x86 only

/// The best of this machine.
[[nodiscard]] const Kernels& kernels();
/// All that run on this machine, the best first.
[[nodiscard]] std::span<const Kernels* const> all_kernels();

}  // namespace kvplace
