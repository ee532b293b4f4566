#include <immintrin.h>

#include "runtime/attention/dispatch/attention_kernels.h"

namespace kvplace {
namespace {

constexpr std::size_t kWidth = 16;
constexpr std::size_t kMostRows = 8;  // query heads at once: their sums fit the registers
using Floats [[gnu::vector_size(kWidth * sizeof(float))]] = float;
using Ints [[gnu::vector_size(kWidth * sizeof(std::uint32_t))]] = std::uint32_t;

struct Bfloat16 {
  std::uint16_t bits;
};
struct Float16 {
  std::uint16_t bits;
};

inline void load(Floats& to, const Bfloat16* from) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  to = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
inline void load(Floats& to, const Float16* from) {
  to = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

}  // namespace
}  // namespace kvplace

#include "runtime/attention/dispatch/attention_kernels_body.h"

namespace kvplace {
const AttentionKernels kAvx512Attention = {"avx512",
                                           {scores<float>, scores<Bfloat16>, scores<Float16>},
                                           {values<float>, values<Bfloat16>, values<Float16>},
                                           read};
}  // namespace kvplace
