#include <immintrin.h>

#include "trace/dispatch/ranking_kernel.h"

namespace kvplace {
namespace {

constexpr std::size_t kWindow = 64;
constexpr std::size_t kLanes = 16;
constexpr int kMostBytes = 4;  // of an entry

/// Where bits are set, ascending, as bytes.
inline __m512i places_of(std::uint64_t bits) {
  const __m512i iota =
      _mm512_set_epi8(63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40,
                      39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16,
                      15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  return _mm512_maskz_compress_epi8(bits, iota);
}

/// What sixteen entries of a window say, each of them at bytes [start, end].
struct Entries {
  __m512i value;  // an id, or else a code
  __m512i size;   // bytes
  __mmask16 is_new;
};
inline Entries read_entries(__m512i window, __m512i start, __m512i end) {
  const __m512i spread = _mm512_mullo_epi32(start, _mm512_set1_epi32(0x01010101));
  const __m512i places = _mm512_add_epi8(spread, _mm512_set1_epi32(0x03020100));
  Entries entries{};
  entries.size = _mm512_sub_epi32(_mm512_add_epi32(end, _mm512_set1_epi32(1)), start);
  const __m512i all = _mm512_set1_epi32(-1);
  const __m512i behind = _mm512_sllv_epi32(all, _mm512_slli_epi32(entries.size, 3));
  const __m512i bytes = _mm512_andnot_si512(behind, _mm512_permutexvar_epi8(places, window));
  entries.is_new = _mm512_testn_epi32_mask(bytes, _mm512_set1_epi32(0xff));
  const __m512i varint = _mm512_mask_srli_epi32(bytes, entries.is_new, bytes, 8);
  // Digits of 7 bits, joined two by two.
  const __m512i digits = _mm512_and_si512(varint, _mm512_set1_epi32(0x7f7f7f7f));
  const __m512i pairs = _mm512_maddubs_epi16(_mm512_set1_epi16(static_cast<short>(0x8001)), digits);
  entries.value = _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x40000001));
  return entries;
}

inline __m512i quarter(__m512i bytes, std::size_t which) {
  const __m512i first = which == 0   ? bytes
                        : which == 1 ? _mm512_alignr_epi64(bytes, bytes, 2)
                        : which == 2 ? _mm512_alignr_epi64(bytes, bytes, 4)
                                     : _mm512_alignr_epi64(bytes, bytes, 6);
  return _mm512_cvtepu8_epi32(_mm512_castsi512_si128(first));
}

}  // namespace

void decode_rankings_avx512(OpenRanking& open);

void decode_rankings_avx512(OpenRanking& open) {
  const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i num_blocks = _mm512_set1_epi32(static_cast<int>(open.num_blocks));
  const __m512i num_before = _mm512_set1_epi32(static_cast<int>(open.num_before));
  while (open.rank < open.num_ranks && static_cast<std::size_t>(open.bytes_end - open.bytes) >= kWindow) {
    const __m512i window = _mm512_loadu_si512(open.bytes);
    const std::uint64_t go_on = _mm512_movepi8_mask(window);
    const std::uint64_t zero = _mm512_testn_epi8_mask(window, window);
    // A byte of 0 that is a varint of its own says that an id follows; both are one entry. Two of them in a row may
    // also be an id of 0: only entries before them are taken.
    const std::uint64_t new_id = zero & ~(go_on << 1);
    const std::uint64_t twice = new_id & (new_id << 1);
    std::uint64_t ends = ~go_on & ~new_id;
    if (twice != 0) {
      ends &= ((twice & (~twice + 1)) >> 1) - 1;
    }
    const __m512i all_ends = places_of(ends);
    const __m512i all_starts = places_of(ends << 1 | 1);
    const auto found = static_cast<std::size_t>(__builtin_popcountll(ends));
    const std::size_t wanted = found < open.num_ranks - open.rank ? found : open.num_ranks - open.rank;
    std::size_t taken = 0;
    bool stopped = wanted == 0;
    for (std::size_t part = 0; taken < wanted && !stopped; ++part) {
      const Entries entries = read_entries(window, quarter(all_starts, part), quarter(all_ends, part));
      const __m512i code = _mm512_sub_epi32(entries.value, _mm512_set1_epi32(1));
      const __m512i sign = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_and_si512(code, _mm512_set1_epi32(1)));
      const __m512i moved = _mm512_xor_si512(_mm512_srli_epi32(code, 1), sign);
      const __m512i ranks = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(open.rank)));
      const __m512i from = _mm512_add_epi32(ranks, moved);
      const std::size_t left = wanted - taken;
      const auto valid = static_cast<__mmask16>(left < kLanes ? (1U << left) - 1 : 0xffff);
      const auto is_old = static_cast<__mmask16>(~entries.is_new & valid);
      const auto not_taken = static_cast<__mmask16>(
          _mm512_mask_cmpgt_epi32_mask(valid, entries.size, _mm512_set1_epi32(kMostBytes)) |
          _mm512_mask_cmpge_epu32_mask(is_old, from, num_before) |
          _mm512_mask_cmpge_epu32_mask(static_cast<__mmask16>(entries.is_new & valid), entries.value, num_blocks));
      auto take = valid;
      if (not_taken != 0) {
        take = static_cast<__mmask16>(take & ((not_taken & (~static_cast<unsigned>(not_taken) + 1)) - 1));
        stopped = true;
      }
      const __m512i ids =
          _mm512_mask_i32gather_epi32(entries.value, static_cast<__mmask16>(is_old & take), from, open.before, 4);
      _mm512_mask_storeu_epi32(open.ranking + open.rank, take, ids);
      const auto count = static_cast<std::size_t>(__builtin_popcount(take));
      taken += count;
      open.rank += count;
    }
    if (taken > 0) {
      std::uint8_t end_places[kWindow];
      _mm512_storeu_si512(end_places, all_ends);
      open.bytes += end_places[taken - 1] + 1;
    }
    if (stopped) {
      return;
    }
  }
}

}  // namespace kvplace
