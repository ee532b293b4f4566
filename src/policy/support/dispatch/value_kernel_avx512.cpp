#include <immintrin.h>

#include "policy/support/dispatch/value_kernel_sets.h"

namespace kvplace {
namespace {

using Floats = float __attribute__((vector_size(64)));
using Ints = std::int32_t __attribute__((vector_size(64)));

inline std::uint32_t lanes_that_are(const Floats& lanes, float value) {
  return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(lanes), _mm512_set1_ps(value), _CMP_EQ_OQ);
}

#include "policy/support/dispatch/value_kernel_body.h"
}  // namespace

const ValueKernel kValueKernelAvx512{"avx512", by_ranks, by_reads, take_lowest};

}  // namespace kvplace
