// The flagship's passes over a layer's blocks: every version of them that this machine runs, against each other to the
// bit and against what they stand for.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "policy/support/dispatch/value_kernel.h"
#include "policy/support/value_slots.h"

namespace kvplace {
namespace {

/// Arrays of a batch, filled at random.
struct RandomBlocks {
  std::size_t count;
  std::int32_t now;
  std::vector<float> first, second, reads_20, reads_100, read, ranks, values;
  std::vector<std::int32_t> last_reads;

  RandomBlocks(std::size_t blocks, std::mt19937& random) : count(blocks) {
    now = static_cast<std::int32_t>(1 + random() % 5000);
    const std::size_t lanes = (blocks + kValueLanes - 1) / kValueLanes * kValueLanes;
    const auto unit = [&random] { return static_cast<float>(random() % 10'000) / 10'000; };
    for (std::size_t i = 0; i < lanes; ++i) {
      first.push_back(4 * unit() - 2);
      second.push_back(4 * unit() - 2);
      reads_20.push_back(unit());
      reads_100.push_back(unit());
      read.push_back(random() % 2 == 0 ? 0.0F : 1.0F);
      ranks.push_back(4 * unit() - 2);
      last_reads.push_back(now - static_cast<std::int32_t>(random() % 5000 >> random() % 12));
    }
    values.resize(lanes);
  }

  void pass(const ValueKernel& kernel, ScoredBy scored_by) {
    ValueBatch batch;
    batch.count = count;
    batch.first = first.data();
    batch.second = second.data();
    batch.reads_20 = reads_20.data();
    batch.reads_100 = reads_100.data();
    batch.read = read.data();
    batch.ranks = ranks.data();
    batch.last_reads = last_reads.data();
    batch.values = values.data();
    batch.now = now;
    (scored_by == ScoredBy::kRanks ? kernel.by_ranks : kernel.by_reads)(batch);
  }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b, std::size_t count) {
  return count == 0 || std::memcmp(a.data(), b.data(), count * sizeof(float)) == 0;
}

RC_GTEST_PROP(ValueKernel, AllGiveTheSameBits, ()) {
  std::mt19937 random(*rc::gen::arbitrary<std::uint32_t>());
  const ScoredBy scored_by = *rc::gen::element(ScoredBy::kRanks, ScoredBy::kReads);
  const RandomBlocks start(*rc::gen::inRange<std::size_t>(0, 100), random);
  RandomBlocks expected = start;
  expected.pass(value_kernels().back(), scored_by);
  for (const ValueKernel& kernel : value_kernels()) {
    RandomBlocks blocks = start;
    blocks.pass(kernel, scored_by);
    for (const auto array : {&RandomBlocks::first, &RandomBlocks::second, &RandomBlocks::reads_20,
                             &RandomBlocks::reads_100, &RandomBlocks::read, &RandomBlocks::values}) {
      RC_ASSERT(same_bits(blocks.*array, expected.*array, start.count));
    }
    for (std::size_t i = start.count; i < blocks.values.size(); ++i) {
      RC_ASSERT(blocks.values[i] == std::numeric_limits<float>::infinity());
    }
  }
}

RC_GTEST_PROP(ValueKernel, TakesTheLowestAsASortDoes, ()) {
  std::mt19937 random(*rc::gen::arbitrary<std::uint32_t>());
  const auto count = *rc::gen::inRange<std::size_t>(0, 100);
  const auto most = *rc::gen::inRange<std::size_t>(0, 20);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> values((count + kValueLanes - 1) / kValueLanes * kValueLanes, kInfinity);
  std::vector<std::pair<float, std::uint32_t>> sorted;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (random() % 5 > 0) {
      values[i] = static_cast<float>(static_cast<int>(random() % 40) - 20) / 8;  // many are equal
      sorted.emplace_back(values[i], i);
    }
  }
  std::sort(sorted.begin(), sorted.end());
  sorted.resize(std::min(sorted.size(), most));
  for (const ValueKernel& kernel : value_kernels()) {
    std::vector<float> left = values;
    std::vector<PlacedValue> lowest(most);
    RC_ASSERT(kernel.take_lowest(left.data(), count, most, lowest.data()) == sorted.size());
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      RC_ASSERT(lowest[i].value == sorted[i].first);
      RC_ASSERT(lowest[i].place == sorted[i].second);
      RC_ASSERT(left[sorted[i].second] == kInfinity);
    }
  }
}

}  // namespace
}  // namespace kvplace
