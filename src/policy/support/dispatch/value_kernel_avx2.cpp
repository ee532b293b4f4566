#include <immintrin.h>

#include "policy/support/dispatch/value_kernel_sets.h"

namespace kvplace {
namespace {

using Floats = float __attribute__((vector_size(32)));
using Ints = std::int32_t __attribute__((vector_size(32)));

inline std::uint32_t lanes_that_are(const Floats& lanes, float value) {
  const __m256 equal = _mm256_cmp_ps(reinterpret_cast<__m256>(lanes), _mm256_set1_ps(value), _CMP_EQ_OQ);
  return static_cast<std::uint32_t>(_mm256_movemask_ps(equal));
}

#include "policy/support/dispatch/value_kernel_body.h"
}  // namespace

const ValueKernel kValueKernelAvx2{"avx2", by_ranks, by_reads, take_lowest};

}  // namespace kvplace
