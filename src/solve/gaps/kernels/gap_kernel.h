/// The inner loop of the gap dual: for each class of gaps the least of holding, fetching and missing.
///
/// Compiled for several instruction sets; all give the same bits, since the operations and their order are the same.
#pragma once

#include <cstddef>
#include <span>

namespace kvplace {

/// Classes side by side. Costs are per byte. All arrays have `count` elements and go on for kGapPadding more, which
/// have no bytes.
struct GapBatch {
  std::size_t count = 0;
  const float* bytes = nullptr;
  const double* begin = nullptr;    ///< M where the gap begins: prefix sum of row prices
  const double* end = nullptr;      ///< M where it ends
  const double* miss = nullptr;     ///< cost of a far read at its end
  const double* fetch_a = nullptr;  ///< least active promotion less M at it, over the gap's first windows
  const double* fetch_b = nullptr;  ///< and over its last
};

struct GapKernel {
  const char* name;
  /// Sum of bytes * min(end - begin, end + min(fetch_a, fetch_b), miss).
  double (*value)(const GapBatch& batch);
};

/// Those that this processor can run, the fastest first.
[[nodiscard]] std::span<const GapKernel> gap_kernels();

}  // namespace kvplace
