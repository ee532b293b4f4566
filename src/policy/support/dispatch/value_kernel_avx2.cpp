#include <immintrin.h>

#include "policy/support/dispatch/value_kernel_sets.h"

namespace kvplace {
namespace {

using Floats = float __attribute__((vector_size(64)));
using Ints = std::int32_t __attribute__((vector_size(64)));
using Words = std::uint32_t __attribute__((vector_size(64)));

template <std::size_t n>
inline Floats lookup(const float (&table)[n], const Words& index) {
  const Words within = index % static_cast<std::uint32_t>(n);
  __m256i halves[2];
  __builtin_memcpy(halves, &within, sizeof halves);
  const __m256 found[2] = {_mm256_i32gather_ps(table, halves[0], 4), _mm256_i32gather_ps(table, halves[1], 4)};
  Floats both;
  __builtin_memcpy(&both, found, sizeof both);
  return both;
}

inline std::uint32_t lanes_that_are(const Floats& lanes, float value) {
  __m256 halves[2];
  __builtin_memcpy(halves, &lanes, sizeof halves);
  const auto bits = [value](__m256 half) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(half, _mm256_set1_ps(value), _CMP_EQ_OQ)));
  };
  return bits(halves[0]) | bits(halves[1]) << 8;
}

#include "policy/support/dispatch/value_kernel_body.h"
}  // namespace

const ValueKernel kValueKernelAvx2{"avx2", by_ranks, by_reads, take_lowest};

}  // namespace kvplace
