#include <immintrin.h>

#include "policy/support/dispatch/value_kernel_sets.h"

namespace kvplace {
namespace {

using Floats = float __attribute__((vector_size(64)));
using Ints = std::int32_t __attribute__((vector_size(64)));
using Words = std::uint32_t __attribute__((vector_size(64)));

/// Whole tables in registers: they have a power of two of places, and of an index the bits above are not looked at.
inline Floats lookup(const float (&table)[16], const Words& index) {
  const __m512 only = _mm512_loadu_ps(table);
  return _mm512_permutex2var_ps(only, reinterpret_cast<__m512i>(index), only);
}

inline Floats lookup(const float (&table)[32], const Words& index) {
  return _mm512_permutex2var_ps(_mm512_loadu_ps(table), reinterpret_cast<__m512i>(index), _mm512_loadu_ps(table + 16));
}

inline Floats lookup(const float (&table)[64], const Words& index) {
  const auto places = reinterpret_cast<__m512i>(index);
  const __m512 low = _mm512_permutex2var_ps(_mm512_loadu_ps(table), places, _mm512_loadu_ps(table + 16));
  const __m512 high = _mm512_permutex2var_ps(_mm512_loadu_ps(table + 32), places, _mm512_loadu_ps(table + 48));
  return _mm512_mask_blend_ps(_mm512_test_epi32_mask(places, _mm512_set1_epi32(32)), low, high);
}

inline std::uint32_t lanes_that_are(const Floats& lanes, float value) {
  return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(lanes), _mm512_set1_ps(value), _CMP_EQ_OQ);
}

#include "policy/support/dispatch/value_kernel_body.h"
}  // namespace

const ValueKernel kValueKernelAvx512{"avx512", by_ranks, by_reads, take_lowest};

}  // namespace kvplace
