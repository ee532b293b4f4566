// Number formats of KV, places of tokens in a page, and every version of attention's kernels that this machine runs.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <vector>

#include "runtime/attention/dispatch/attention_kernels.h"
#include "runtime/attention/number_formats.h"

namespace kvplace {
namespace {

/// What the bits of an IEEE half mean, by the standard's formula.
double half_by_formula(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) {
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  }
  return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
}

TEST(NumberFormats, EveryHalfReadsAsTheStandardSays) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const double expected = half_by_formula(static_cast<std::uint16_t>(bits));
    const float value = from_float16(static_cast<std::uint16_t>(bits));
    ASSERT_TRUE(std::isnan(expected) ? std::isnan(value) : value == expected) << bits;
    if (!std::isnan(expected)) {
      ASSERT_EQ(to_float16(value), bits);
    }
  }
  EXPECT_TRUE(std::isnan(from_float16(to_float16(std::numeric_limits<float>::quiet_NaN()))));
}

/// Both neighbours are no nearer; of two equally near the even one is taken.
template <class To, class From>
void expect_nearest(float value, To to, From from) {
  const std::uint16_t bits = to(value);
  const double here = std::abs(double{from(bits)} - value);
  for (const int other : {bits - 1, bits + 1}) {
    const double there = std::abs(double{from(static_cast<std::uint16_t>(other))} - value);
    ASSERT_TRUE(here < there || std::isnan(there) || (here == there && bits % 2 == 0)) << value;
  }
}

TEST(NumberFormats, RoundsToNearestTiesToEven) {
  std::mt19937 random(5);
  for (int i = 0; i < 200000; ++i) {
    const float value = std::ldexp(static_cast<float>(random()) / 4e9F + 1e-12F, static_cast<int>(random() % 38) - 24);
    if (value < 65000) {
      expect_nearest(value, to_float16, from_float16);
    }
    expect_nearest(value, to_bfloat16, from_bfloat16);
    EXPECT_EQ(to_float16(-value), to_float16(value) | 0x8000);
  }
  for (std::uint32_t bits = 1; bits < 0x7bff; ++bits) {  // what lies in the middle of two
    const float middle =
        (from_float16(static_cast<std::uint16_t>(bits)) + from_float16(static_cast<std::uint16_t>(bits + 1))) / 2;
    ASSERT_EQ(to_float16(middle), bits + bits % 2);
  }
  EXPECT_EQ(from_float16(to_float16(65519.0F)), 65504.0F);
  EXPECT_TRUE(std::isinf(from_float16(to_float16(65520.0F))));
  EXPECT_EQ(from_bfloat16(to_bfloat16(1.0F + 1.0F / 256)), 1.0F);
  EXPECT_TRUE(std::isnan(from_bfloat16(to_bfloat16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(AttentionShape, SaysWhichNumberIsWrong) {
  const AttentionShape good{9, 3, 64, 16, KvType::kFloat32};
  EXPECT_TRUE(check(good));
  EXPECT_EQ(good.page_bytes(), Bytes(2 * 3 * 64 * 16 * 4));
  std::vector<AttentionShape> bad(7, good);
  bad[0].query_heads = 10;
  bad[1].kv_heads = 0;
  bad[2].head_dim = 24;
  bad[3].head_dim = 272;
  bad[4].page_tokens = 8;
  bad[5].page_tokens = 512;
  bad[6].query_heads = 0;
  for (const AttentionShape& shape : bad) {
    const Status status = check(shape);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, ErrorKind::kBadInput);
  }
}

TEST(AttentionPage, TokensHavePlacesOfTheirOwn) {
  for (const KvType type : {KvType::kFloat32, KvType::kBfloat16, KvType::kFloat16}) {
    const AttentionShape shape{4, 2, 32, 48, type};
    std::vector<std::byte> page(static_cast<std::size_t>(shape.page_bytes().value()), std::byte{0xff});
    const auto value = [&](std::uint32_t token, std::size_t i, bool is_key) {
      return static_cast<float>(token * 4 + i % 4) * (is_key ? 1.0F : -1.0F);  // exact in all types
    };
    std::vector<float> keys(64);
    std::vector<float> values(64);
    for (std::uint32_t token = 0; token < 48; ++token) {
      for (std::size_t i = 0; i < 64; ++i) {
        keys[i] = value(token, i, true);
        values[i] = value(token, i, false);
      }
      write_token(shape, page.data(), token, keys, values);
    }
    for (std::uint32_t token = 0; token < 48; ++token) {
      read_token(shape, page.data(), token, keys, values);
      for (std::size_t i = 0; i < 64; ++i) {
        ASSERT_EQ(keys[i], value(token, i, true));
        ASSERT_EQ(values[i], value(token, i, false));
      }
    }
  }
}

class AttentionKernel : public ::testing::TestWithParam<const AttentionKernels*> {};

template <class Element>
std::vector<Element> random_elements(std::size_t count, Element (*to)(float)) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0, 1);
  std::vector<Element> elements(count);
  for (Element& element : elements) {
    element = to(normal(random));
  }
  return elements;
}

template <class Element>
void expect_plain_loops(const AttentionKernels& kernels, KvType type, Element (*to)(float), float (*from)(Element)) {
  constexpr std::size_t kDim = 80;
  constexpr std::size_t kStride = 48;
  const std::vector<Element> tile = random_elements<Element>(kDim * kTileTokens, to);
  const auto* const bytes = reinterpret_cast<const std::byte*>(tile.data());
  for (std::size_t rows = 1; rows <= 11; ++rows) {
    const std::vector<float> queries = random_elements<float>(rows * kDim, [](float x) { return x; });
    std::vector<float> scores(rows * kStride, 7);
    kernels.scores[static_cast<std::size_t>(type)](bytes, kDim, queries.data(), rows, scores.data(), kStride, bytes);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t t = 0; t < kStride; ++t) {
        double expected = 0;
        for (std::size_t d = 0; d < kDim && t < kTileTokens; ++d) {
          expected += double{queries[r * kDim + d]} * from(tile[d * kTileTokens + t]);
        }
        ASSERT_NEAR(scores[r * kStride + t], t < kTileTokens ? expected : 7, 1e-4);
      }
    }
    for (const auto& [begin, end] : {std::pair<std::size_t, std::size_t>{0, 16}, {3, 9}, {15, 16}}) {
      std::vector<float> sums(rows * kDim, 1);
      kernels.values[static_cast<std::size_t>(type)](bytes, kDim, begin, end, queries.data(), kDim, rows, sums.data(),
                                                     bytes);
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t d = 0; d < kDim; ++d) {
          double expected = 1;
          for (std::size_t t = begin; t < end; ++t) {
            expected += double{queries[r * kDim + t]} * from(tile[t * kDim + d]);
          }
          ASSERT_NEAR(sums[r * kDim + d], expected, 1e-4);
        }
      }
    }
  }
}

TEST_P(AttentionKernel, IsThatOfPlainLoops) {
  expect_plain_loops<float>(*GetParam(), KvType::kFloat32, [](float x) { return x; }, [](float x) { return x; });
  expect_plain_loops<std::uint16_t>(*GetParam(), KvType::kBfloat16, to_bfloat16, from_bfloat16);
  expect_plain_loops<std::uint16_t>(*GetParam(), KvType::kFloat16, to_float16, from_float16);
}

TEST_P(AttentionKernel, ReadsHalvesAsTheStandardSays) {
  std::vector<std::uint16_t> tile(std::size_t{16} * kTileTokens);
  for (std::uint32_t first = 0; first < 0x10000; first += 256) {
    for (std::uint32_t i = 0; i < 256; ++i) {
      tile[i] = static_cast<std::uint16_t>(first + i);
    }
    std::vector<float> sums(16);
    for (std::size_t t = 0; t < kTileTokens; ++t) {
      std::vector<float> weights(kTileTokens, 1.0F);
      std::fill(sums.begin(), sums.end(), 0.0F);
      GetParam()->values[2](reinterpret_cast<const std::byte*>(tile.data()), 16, t, t + 1, weights.data(), kTileTokens,
                            1, sums.data(), reinterpret_cast<const std::byte*>(tile.data()));
      for (std::size_t d = 0; d < 16; ++d) {
        const double expected = half_by_formula(tile[t * 16 + d]);
        ASSERT_TRUE(std::isnan(expected) ? std::isnan(sums[d]) : sums[d] == expected) << tile[t * 16 + d];
      }
    }
  }
}

TEST_P(AttentionKernel, PlainReadingReadsEveryByte) {
  std::vector<std::byte> bytes(1024);
  std::set<std::uint64_t> sums{GetParam()->read(bytes.data(), bytes.size(), bytes.data())};
  for (std::byte& byte : bytes) {
    byte = std::byte{1};
    sums.insert(GetParam()->read(bytes.data(), bytes.size(), bytes.data()));
  }
  EXPECT_EQ(sums.size(), 1025U);
}

INSTANTIATE_TEST_SUITE_P(OfThisMachine, AttentionKernel, ::testing::ValuesIn(all_attention_kernels()),
                         [](const auto& kernel) { return std::string(kernel.param->name); });

}  // namespace
}  // namespace kvplace
