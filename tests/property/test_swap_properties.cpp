// The swap process: what each step may change, from the definition; and its statistics beside a plain second one.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <set>

#include "generate/swap_process.h"

namespace kvplace::generate {
namespace {

using Set = std::set<std::uint32_t>;

Set reads_of(const SwapProcess& process, std::uint32_t first_block) {
  std::vector<BlockId> ids;
  process.append_reads(ids);
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
  Set set;
  for (const BlockId id : ids) {
    set.insert(id.value() - first_block);
  }
  EXPECT_EQ(set.size(), process.num_reads());
  return set;
}

Set minus(const Set& a, const Set& b) {
  Set out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::inserter(out, out.end()));
  return out;
}

RC_GTEST_PROP(Swap, TheOldestLeaveForBlocksOfTheWindow, ()) {
  const auto most = *rc::gen::element(0.0, 0.1, 0.5, 1.0);
  const GeneratorConfig::Swap swap{*rc::gen::element(0.0, most), most, *rc::gen::element(0.01, 0.5, 0.97, 1.0)};
  const Budget budget{*rc::gen::element(0u, 7u, 500u), *rc::gen::element(0.01, 0.4, 1.0)};
  const auto first_block = *rc::gen::element(0u, 8u);
  auto blocks = *rc::gen::inRange(1u, 300u);
  SwapProcess process(swap, budget, first_block, *rc::gen::arbitrary<std::uint64_t>(), 3);
  Set before;
  for (int t = 0; t < 30; ++t) {
    blocks += t == 0 ? 0 : *rc::gen::element(0u, 1u, 9u);
    process.step(blocks);
    const Set reads = reads_of(process, first_block);
    RC_ASSERT(reads.size() == budget.of(blocks));
    RC_ASSERT(*reads.rbegin() < blocks);
    const Set left = minus(before, reads);
    const Set entered = minus(reads, before);
    const auto window = std::max(static_cast<std::uint32_t>(std::ceil(swap.window * blocks)), budget.of(blocks));
    RC_ASSERT(std::ranges::all_of(entered, [&](std::uint32_t b) { return b + window >= blocks; }));
    const Set stayed = minus(before, left);
    RC_ASSERT(std::ranges::all_of(left, [&](std::uint32_t b) { return stayed.empty() || b < *stayed.begin(); }));
    if (t > 0) {
      // Blocks that made the set grow may be among its oldest, and leave in the place of those read before.
      const auto size = static_cast<double>(reads.size());
      const auto grown = reads.size() - before.size();
      const std::size_t room = window - std::min<std::size_t>(reads.size(), window);
      RC_ASSERT(left.size() <= static_cast<std::size_t>(swap.most * size));
      RC_ASSERT(left.size() + grown >= std::min(static_cast<std::size_t>(swap.least * size), room));
    }
    before = reads;
  }
}

TEST(Swap, RankingsAreReadsThenOthersFromTheNewest) {
  SwapProcess process({0, 0.1, 1}, {4, 0}, 2, 5, 0);
  process.step(9);
  const Set reads = reads_of(process, 2);
  std::vector<BlockId> ranking;
  process.append_ranking(7, ranking);
  std::vector<std::uint32_t> expected(reads.rbegin(), reads.rend());
  for (std::uint32_t b = 9; b > 0 && expected.size() < 7; --b) {
    if (!reads.contains(b - 1)) {
      expected.push_back(b - 1);
    }
  }
  ASSERT_EQ(ranking.size(), 7u);
  for (std::size_t i = 0; i < ranking.size(); ++i) {
    EXPECT_EQ(ranking[i].value(), expected[i] + 2) << i;
  }
}

/// The process as it is told, on lists, with the standard library's random numbers.
class Told {
 public:
  explicit Told(const GeneratorConfig::Swap& swap) : swap_(swap) {}
  std::vector<std::uint32_t> step(std::uint32_t blocks, double share) {
    const bool is_first = set_.empty();
    const auto size = static_cast<std::size_t>(std::llround(share * blocks));
    grow(blocks, size);
    if (!is_first) {
      const auto of = [&](double part) { return static_cast<std::size_t>(part * static_cast<double>(size)); };
      const std::size_t swapped = std::uniform_int_distribution<std::size_t>(of(swap_.least), of(swap_.most))(random_);
      std::vector<std::uint32_t> leaving(set_.begin(), set_.begin() + static_cast<std::ptrdiff_t>(swapped));
      grow(blocks, size + swapped);
      std::erase_if(set_, [&](std::uint32_t b) { return std::ranges::find(leaving, b) != leaving.end(); });
    }
    return set_;
  }

 private:
  void grow(std::uint32_t blocks, std::size_t size) {
    std::vector<std::uint32_t> unread;
    for (auto b = static_cast<std::uint32_t>(blocks - std::ceil(swap_.window * blocks)); b < blocks; ++b) {
      if (!std::ranges::binary_search(set_, b)) {
        unread.push_back(b);
      }
    }
    std::ranges::sample(unread, std::back_inserter(set_), static_cast<std::ptrdiff_t>(size - set_.size()), random_);
    std::ranges::sort(set_);
  }

  GeneratorConfig::Swap swap_;
  std::vector<std::uint32_t> set_;
  std::mt19937 random_{1};
};

/// Mean and spread of what changes, and where the reads are, agree with the process as it is told.
TEST(Swap, StatisticsAreThoseOfThePlainProcess) {
  for (const GeneratorConfig::Swap& swap : {GeneratorConfig::Swap{0, 0.1, 0.97}, GeneratorConfig::Swap{0.1, 0.1, 1}}) {
    SwapProcess process(swap, {0, 0.4}, 0, 1, 0);
    Told told(swap);
    constexpr std::uint32_t kSteps = 2000;
    // Sums over steps: reads new in the step, their squares, reads among the newest 40 %, quarter of the older by age.
    std::array<std::array<double, 7>, 2> sums{};
    std::array<Set, 2> before;
    for (std::uint32_t t = 0; t < kSteps; ++t) {
      const std::uint32_t blocks = 1000;
      process.step(blocks);
      const std::vector<std::uint32_t> reads_told = told.step(blocks, 0.4);
      std::array<Set, 2> reads{reads_of(process, 0), Set(reads_told.begin(), reads_told.end())};
      for (std::size_t i = 0; i < 2; ++i) {
        const auto entered = static_cast<double>(minus(reads[i], before[i]).size());
        sums[i][0] += entered;
        sums[i][1] += entered * entered;
        for (const std::uint32_t b : reads[i]) {
          sums[i][b >= 600 ? 2 : 3 + b / 150] += 1;
        }
        before[i] = reads[i];
      }
    }
    for (std::size_t k = 0; k < sums[0].size(); ++k) {
      EXPECT_NEAR(sums[0][k] / sums[1][k], 1, 0.06) << "statistic " << k << ", window " << swap.window;
    }
    // Uniform in 0 to 40 of 400, or 40.
    const double mean = swap.least == 0 ? 20 : 40;
    EXPECT_NEAR(sums[0][0] / kSteps, mean, 1.0);
  }
}

}  // namespace
}  // namespace kvplace::generate
