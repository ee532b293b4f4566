// The flagship's passes over a layer's blocks: every version of them that this machine runs, against each other to the
// bit and against what they stand for.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "policy/support/dispatch/value_kernel.h"
#include "policy/support/read_chance.h"
#include "policy/support/value_policy.h"
#include "policy/support/value_slots.h"

namespace kvplace {
namespace {

/// Arrays of a batch, filled at random.
struct RandomBlocks {
  std::size_t count;
  std::uint32_t newest_token;
  std::int32_t now;
  std::vector<float> first, second, reads_20, reads_100, since, read, scores, values;
  std::vector<std::uint32_t> ranks, tokens;
  std::vector<std::int32_t> last_reads;

  RandomBlocks(std::size_t blocks, std::mt19937& random)
      : count(blocks), newest_token(static_cast<std::uint32_t>(random() % 100'000)) {
    now = static_cast<std::int32_t>(1 + random() % 5000);
    const std::size_t lanes = (blocks + kValueLanes - 1) / kValueLanes * kValueLanes;
    const auto unit = [&random] { return static_cast<float>(random() % 10'000) / 10'000; };
    for (std::size_t i = 0; i < lanes; ++i) {
      first.push_back(4 * unit() - 2);
      second.push_back(4 * unit() - 2);
      reads_20.push_back(unit());
      reads_100.push_back(unit());
      since.push_back(static_cast<float>(random() % 300));
      read.push_back(random() % 2 == 0 ? 0.0F : 1.0F);
      ranks.push_back(RankValue(4 * unit() - 2, static_cast<std::uint8_t>(random() % kRankBins)).bits());
      tokens.push_back(static_cast<std::uint32_t>(random() % (newest_token + 1) >> random() % 16));
      last_reads.push_back(now - static_cast<std::int32_t>(random() % 5000 >> random() % 12));
    }
    scores.resize(lanes);
    values.resize(lanes);
  }

  void pass(const ValueKernel& kernel, ScoredBy scored_by, const ChanceTables& tables) {
    ValueBatch batch;
    batch.count = count;
    batch.first = first.data();
    batch.second = second.data();
    batch.reads_20 = reads_20.data();
    batch.reads_100 = reads_100.data();
    batch.since = since.data();
    batch.read = read.data();
    batch.ranks = ranks.data();
    batch.tokens = tokens.data();
    batch.last_reads = last_reads.data();
    batch.scores = scores.data();
    batch.values = values.data();
    batch.now = now;
    batch.newest_token = newest_token;
    batch.chances = &tables;
    (scored_by == ScoredBy::kRanks ? kernel.by_ranks : kernel.by_reads)(batch);
  }
};

/// Tables that have learned something from random samples.
ReadChance some_chance(ScoreCounts& common, std::mt19937& random) {
  ReadChance chance(common);
  for (std::uint32_t step = 0; step < 100; ++step) {
    chance.begin_step(step, [&](BlockIndex) { return static_cast<std::int32_t>(step + random() % 2); });
    for (std::uint32_t block = 0; block < 50; ++block) {
      const BlockTraits traits{static_cast<std::uint8_t>(random() % 10), static_cast<std::uint8_t>(random() % 8),
                               static_cast<std::uint8_t>(random() % 9), 0};
      chance.sample(BlockIndex(block), static_cast<float>(random() % 1000) / 100 - 7, traits, -1.0F);
    }
  }
  return chance;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b, std::size_t count) {
  return count == 0 || std::memcmp(a.data(), b.data(), count * sizeof(float)) == 0;
}

RC_GTEST_PROP(ValueKernel, AllGiveTheSameBits, ()) {
  std::mt19937 random(*rc::gen::arbitrary<std::uint32_t>());
  ScoreCounts common;
  const ReadChance chance = some_chance(common, random);
  const ScoredBy scored_by = *rc::gen::element(ScoredBy::kRanks, ScoredBy::kReads);
  const RandomBlocks start(*rc::gen::inRange<std::size_t>(0, 100), random);
  RandomBlocks expected = start;
  expected.pass(value_kernels().back(), scored_by, chance.tables());
  for (const ValueKernel& kernel : value_kernels()) {
    RandomBlocks blocks = start;
    blocks.pass(kernel, scored_by, chance.tables());
    for (const auto array :
         {&RandomBlocks::first, &RandomBlocks::second, &RandomBlocks::reads_20, &RandomBlocks::reads_100,
          &RandomBlocks::since, &RandomBlocks::read, &RandomBlocks::scores, &RandomBlocks::values}) {
      RC_ASSERT(same_bits(blocks.*array, expected.*array, start.count));
    }
    for (std::size_t i = start.count; i < blocks.values.size(); ++i) {
      RC_ASSERT(blocks.values[i] == std::numeric_limits<float>::infinity());
    }
  }
}

/// A value is what the chances say of a block with its score and traits.
RC_GTEST_PROP(ValueKernel, ValuesAreLogChances, ()) {
  std::mt19937 random(*rc::gen::arbitrary<std::uint32_t>());
  ScoreCounts common;
  const ReadChance chance = some_chance(common, random);
  RandomBlocks blocks(*rc::gen::inRange<std::size_t>(1, 100), random);
  blocks.pass(value_kernels().front(), ScoredBy::kRanks, chance.tables());
  for (std::size_t i = 0; i < blocks.count; ++i) {
    const auto unread = static_cast<std::uint32_t>(blocks.now - blocks.last_reads[i]);
    const BlockTraits traits{static_cast<std::uint8_t>(blocks.ranks[i] & kRankBinBits), recency_bin(unread),
                             age_bin(blocks.tokens[i], blocks.newest_token), unread};
    RC_ASSERT(std::abs(blocks.values[i] - chance.log_chance(blocks.scores[i], traits)) < 1e-3);
  }
}

RC_GTEST_PROP(ValueKernel, TakesTheLowestAsASortDoes, ()) {
  std::mt19937 random(*rc::gen::arbitrary<std::uint32_t>());
  const auto count = *rc::gen::inRange<std::size_t>(0, 100);
  const auto most = *rc::gen::inRange<std::size_t>(0, 20);
  const float limit = *rc::gen::element(-1.0F, 0.5F, std::numeric_limits<float>::infinity());
  std::vector<float> values((count + kValueLanes - 1) / kValueLanes * kValueLanes,
                            std::numeric_limits<float>::infinity());
  std::vector<std::pair<float, std::uint32_t>> sorted;
  for (std::uint32_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(static_cast<int>(random() % 40) - 20) / 8;  // many are equal
    if (values[i] < limit) {
      sorted.emplace_back(values[i], i);
    }
  }
  std::sort(sorted.begin(), sorted.end());
  sorted.resize(std::min(sorted.size(), most));
  for (const ValueKernel& kernel : value_kernels()) {
    std::vector<float> left = values;
    std::vector<std::uint32_t> places(most);
    const LowestValues lowest = kernel.take_lowest(left.data(), count, limit, most, places.data());
    RC_ASSERT(lowest.count == sorted.size());
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      RC_ASSERT(places[i] == sorted[i].second);
      RC_ASSERT(left[places[i]] == std::numeric_limits<float>::infinity());
    }
    if (!sorted.empty()) {
      RC_ASSERT(lowest.last == sorted.back().first);
    }
  }
}

RC_GTEST_PROP(ValueKernel, KeysOrderAsPairsOfValueAndSlot, ()) {
  const auto value = [] { return static_cast<float>(*rc::gen::inRange(-4, 4)) / 2 * *rc::gen::element(1.0F, -1.0F); };
  const std::pair<float, std::size_t> a{value(), *rc::gen::inRange<std::size_t>(0, 3)};
  const std::pair<float, std::size_t> b{value(), *rc::gen::inRange<std::size_t>(0, 3)};
  const ValueAndSlot key_a(a.first, a.second);
  const ValueAndSlot key_b(b.first, b.second);
  RC_ASSERT((key_a < key_b) == (a < b));
  RC_ASSERT(key_a.value() == a.first);
  RC_ASSERT(key_a.slot() == a.second);
}

}  // namespace
}  // namespace kvplace
