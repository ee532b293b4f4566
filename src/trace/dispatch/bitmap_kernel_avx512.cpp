#include <immintrin.h>

#include "trace/dispatch/bitmap_kernel.h"

namespace kvplace {

BlockId* places_of_bits_avx512(const std::uint64_t* words, std::size_t num_words, BlockId* out);

/// Sixteen places at a time, of those that have any: how many a word has cannot be foretold, so nothing depends on it.
BlockId* places_of_bits_avx512(const std::uint64_t* words, std::size_t num_words, BlockId* out) {
  constexpr std::size_t kWordsAtOnce = 8;
  const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  for (std::size_t w = 0; w < num_words; w += kWordsAtOnce) {
    const std::size_t left = num_words - w;
    const auto here = static_cast<__mmask8>(left < kWordsAtOnce ? (1U << left) - 1 : 0xff);
    const __m512i group = _mm512_maskz_loadu_epi64(here, words + w);
    std::uint32_t parts = _mm512_test_epi16_mask(group, group);
    for (; parts != 0; parts &= parts - 1) {
      const auto part = static_cast<std::uint32_t>(__builtin_ctz(parts));
      const auto bits = static_cast<__mmask16>(words[w + part / 4] >> (part % 4 * 16));
      const auto base = static_cast<std::uint32_t>(w * 64) + part * 16;
      const __m512i places = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(base)));
      _mm512_storeu_si512(out, _mm512_maskz_compress_epi32(bits, places));
      out += __builtin_popcount(bits);
    }
  }
  return out;
}

}  // namespace kvplace
