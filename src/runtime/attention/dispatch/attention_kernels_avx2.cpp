#include <immintrin.h>

#include "runtime/attention/dispatch/attention_kernels.h"

namespace kvplace {
namespace {

constexpr std::size_t kWidth = 8;
constexpr std::size_t kMostRows = 4;  // query heads at once: their sums fit the registers
using Floats [[gnu::vector_size(kWidth * sizeof(float))]] = float;
using Ints [[gnu::vector_size(kWidth * sizeof(std::uint32_t))]] = std::uint32_t;

struct Bfloat16 {
  std::uint16_t bits;
};
struct Float16 {
  std::uint16_t bits;
};

inline void load(Floats& to, const Bfloat16* from) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  to = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
inline void load(Floats& to, const Float16* from) {
  to = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

}  // namespace
}  // namespace kvplace

#include "runtime/attention/dispatch/attention_kernels_body.h"

namespace kvplace {
const AttentionKernels kAvx2Attention = {"avx2",
                                         {scores<float>, scores<Bfloat16>, scores<Float16>},
                                         {values<float>, values<Bfloat16>, values<Float16>},
                                         read};
}  // namespace kvplace
