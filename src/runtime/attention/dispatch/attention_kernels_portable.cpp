#include "runtime/attention/dispatch/attention_kernels.h"

namespace kvplace {
namespace {

constexpr std::size_t kWidth = 4;
constexpr std::size_t kMostRows = 4;  // query heads at once: their sums fit the registers
using Floats [[gnu::vector_size(kWidth * sizeof(float))]] = float;
using Ints [[gnu::vector_size(kWidth * sizeof(std::uint32_t))]] = std::uint32_t;
using Shorts [[gnu::vector_size(kWidth * sizeof(std::uint16_t))]] = std::uint16_t;

struct Bfloat16 {
  std::uint16_t bits;
};
struct Float16 {
  std::uint16_t bits;
};

inline void load(Floats& to, const Bfloat16* from) {
  Shorts bits;
  __builtin_memcpy(&bits, from, sizeof bits);
  to = (Floats)(__builtin_convertvector(bits, Ints) << 16);
}
/// As from_float16() of number_formats.h.
inline void load(Floats& to, const Float16* from) {
  constexpr float kBias = 5.192296858534828e33F;
  Shorts bits;
  __builtin_memcpy(&bits, from, sizeof bits);
  const Ints wide = __builtin_convertvector(bits, Ints);
  const Ints magnitude = wide & 0x7fffU;
  const Ints finite = (Ints)((Floats)(magnitude << 13) * kBias);
  const Ints infinite = magnitude << 13 | 0x7f800000U;
  to = (Floats)((magnitude >= 0x7c00U ? infinite : finite) | (wide & 0x8000U) << 16);
}

}  // namespace
}  // namespace kvplace

#include "runtime/attention/dispatch/attention_kernels_body.h"

namespace kvplace {
const AttentionKernels kPortableAttention = {"portable",
                                             {scores<float>, scores<Bfloat16>, scores<Float16>},
                                             {values<float>, values<Bfloat16>, values<Float16>},
                                             read};
}  // namespace kvplace
