#include <immintrin.h>

#include <bit>

#include "policy/support/dispatch/value_kernel_sets.h"

namespace kvplace {
namespace {

using Floats = float __attribute__((vector_size(32)));
using Ints = std::int32_t __attribute__((vector_size(32)));
using Words = std::uint32_t __attribute__((vector_size(32)));

/// Eight lanes of a table: chosen from its eighths by the lowest bits of an index, and among these by the bits above,
/// of which those that the table is too short for are not looked at. Faster than a gather where that is microcode.
template <std::size_t n>
inline __m256 lookup_part(const float* table, __m256i index) {
  if constexpr (n == 8) {
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index);
  } else {
    constexpr int kBit = std::countr_zero(n / 2);
    const __m256 low = lookup_part<n / 2>(table, index);
    const __m256 high = lookup_part<n / 2>(table + n / 2, index);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 31 - kBit)));
  }
}

template <std::size_t n>
inline Floats lookup(const float (&table)[n], const Words& index) {
  return reinterpret_cast<Floats>(lookup_part<n>(table, reinterpret_cast<__m256i>(index)));
}

inline std::uint32_t lanes_that_are(const Floats& lanes, float value) {
  const __m256 equal = _mm256_cmp_ps(reinterpret_cast<__m256>(lanes), _mm256_set1_ps(value), _CMP_EQ_OQ);
  return static_cast<std::uint32_t>(_mm256_movemask_ps(equal));
}

#include "policy/support/dispatch/value_kernel_body.h"
}  // namespace

const ValueKernel kValueKernelAvx2{"avx2", by_ranks, by_reads, take_lowest};

}  // namespace kvplace
