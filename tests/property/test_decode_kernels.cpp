// Decoding of chunks by whatever this processor has for it, against plain loops and against decoding less of them.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <vector>

#include "kvplace/trace/reader.h"
#include "trace/dispatch/bitmap_kernel.h"
#include "trace/ranking_decoder.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kBlocks = 40'000;

/// Entries of all lengths and kinds; some of them damaged, if asked for.
std::vector<std::uint8_t> random_ranking(std::size_t count, std::size_t before, bool damaged, std::mt19937& random) {
  std::vector<std::uint8_t> bytes;
  put_varint(bytes, count);
  for (std::size_t rank = 0; rank < count; ++rank) {
    const auto kind = random() % 16;
    if (damaged && random() % 50 == 0) {
      bytes.push_back(static_cast<std::uint8_t>(random()));
    } else if (kind < 4 || before == 0) {
      bytes.push_back(0);
      put_varint(bytes, random() % 16 == 0 ? 0 : random() % kBlocks >> random() % 12);
    } else if (kind == 4) {  // a zero with needless bytes, then an id with some
      bytes.insert(bytes.end(), {0x80, 0x80, 0x00, static_cast<std::uint8_t>(0x80 | random() % 128), 0x80, 0x00});
    } else {
      const auto near = static_cast<std::int64_t>(random() % 9) - 4;
      const auto from = kind == 5 ? static_cast<std::int64_t>(random() % before)
                                  : std::clamp<std::int64_t>(static_cast<std::int64_t>(rank) + near, 0,
                                                             static_cast<std::int64_t>(before) - 1);
      put_varint(bytes, zigzag(from - static_cast<std::int64_t>(rank)) + 1);
    }
  }
  return bytes;
}

RC_GTEST_PROP(RankingKernel, DecodesAsOneByOne, ()) {
  std::mt19937 random(*rc::gen::arbitrary<std::uint32_t>());
  const bool damaged = *rc::gen::arbitrary<bool>();
  const auto before = *rc::gen::inRange<std::size_t>(0, 300);
  const auto count = *rc::gen::inRange<std::size_t>(0, 300);
  std::vector<std::uint8_t> bytes = random_ranking(count, before, damaged, random);
  bytes.resize(bytes.size() + random() % 100);  // of the rankings behind
  std::vector<BlockId> start;
  for (std::size_t i = 0; i < before; ++i) {
    start.emplace_back(static_cast<std::uint32_t>(random() % kBlocks));
  }
  std::vector<BlockId> plain = start;
  std::vector<BlockId> fast = start;
  RankingPlace of_plain{0, before};
  RankingPlace of_fast{0, before};
  VarintReader plain_in(bytes.data(), bytes.data() + bytes.size());
  VarintReader fast_in = plain_in;
  const bool plain_good = decode_ranking(plain_in, kBlocks, nullptr, of_plain, plain);
  const bool fast_good = decode_ranking(fast_in, kBlocks, ranking_kernel(), of_fast, fast);
  RC_ASSERT(plain_good == fast_good);
  RC_ASSERT(damaged || plain_good);
  if (plain_good) {
    RC_ASSERT(plain == fast);
    RC_ASSERT(plain_in.left() == fast_in.left());
    RC_ASSERT(of_fast.begin == before);
    RC_ASSERT(of_fast.size == count);
  }
}

RC_GTEST_PROP(BitmapKernel, FindsTheBits, ()) {
  std::mt19937_64 random(*rc::gen::arbitrary<std::uint64_t>());
  std::vector<std::uint64_t> words(*rc::gen::inRange<std::size_t>(0, 40));
  std::vector<BlockId> expected;
  for (std::size_t i = 0; i < words.size() * 64; ++i) {
    if (random() % 8 == 0) {
      words[i / 64] |= std::uint64_t{1} << i % 64;
      expected.emplace_back(static_cast<std::uint32_t>(i));
    }
  }
  for (const BitmapKernel kernel : {places_of_bits, bitmap_kernel()}) {
    std::vector<BlockId> found(expected.size() + kBitmapSpill);
    const BlockId* const end = kernel(words.data(), words.size(), found.data());
    found.resize(static_cast<std::size_t>(end - found.data()));
    RC_ASSERT(found == expected);
  }
}

/// Two bytes at most, or as many as there are.
TEST(VarintReader, ReadsShortOnesAsAny) {
  std::vector<std::uint8_t> bytes;
  for (std::uint64_t value = 0; value < 40'000; value += 7) {
    put_varint(bytes, value);
  }
  VarintReader any(bytes.data(), bytes.data() + bytes.size());
  VarintReader short_ones = any;
  while (!any.at_end()) {
    EXPECT_EQ(any.next(), short_ones.next_short());
  }
  EXPECT_TRUE(short_ones.at_end());
  EXPECT_TRUE(short_ones.ok());
  EXPECT_EQ(short_ones.next_short(), 0U);
  EXPECT_FALSE(short_ones.ok());
}

TEST(TraceReader, ReadsTheSameWithoutRankings) {
  for (const auto& file : std::filesystem::directory_iterator(KVPLACE_SOURCE_DIR "/data")) {
    if (file.path().extension() != ".kvt") {
      continue;
    }
    const TraceReader trace = TraceReader::open(file.path().string()).value();
    const Segment all = trace.chunk(trace.num_chunks() - 1).value();
    const Segment some = trace.chunk(trace.num_chunks() - 1, ChunkParts::kWithoutRankings).value();
    ASSERT_EQ(all.end_step(), some.end_step());
    for (std::uint32_t step = all.first_step(); step < all.end_step(); ++step) {
      for (std::uint32_t layer = 0; layer < all.layers(); ++layer) {
        const StepView a = all.view(step, layer);
        const StepView b = some.view(step, layer);
        EXPECT_TRUE(std::equal(a.reads.begin(), a.reads.end(), b.reads.begin(), b.reads.end()));
        EXPECT_TRUE(std::equal(a.appended.begin(), a.appended.end(), b.appended.begin(), b.appended.end()));
        EXPECT_TRUE(b.ranking.empty());
      }
    }
  }
}

}  // namespace
}  // namespace kvplace
