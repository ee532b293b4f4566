#include "trace/dispatch/bitmap_kernel.h"

#include <bit>

namespace kvplace {

BlockId* places_of_bits(const std::uint64_t* words, std::size_t num_words, BlockId* out) {
  for (std::size_t w = 0; w < num_words; ++w) {
    const auto base = static_cast<std::uint32_t>(w * 64);
    for (std::uint64_t bits = words[w]; bits != 0; bits &= bits - 1) {
      *out++ = BlockId(base + static_cast<std::uint32_t>(std::countr_zero(bits)));
    }
  }
  return out;
}

#ifdef KVPLACE_X86_KERNELS
BlockId* places_of_bits_avx512(const std::uint64_t* words, std::size_t num_words, BlockId* out);

BitmapKernel bitmap_kernel() {
  static const bool kUsable = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0;
  return kUsable ? places_of_bits_avx512 : places_of_bits;
}
#else
BitmapKernel bitmap_kernel() { return places_of_bits; }
#endif

}  // namespace kvplace
