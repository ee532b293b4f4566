// What holds for every synthetic trace, whatever its settings.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "generate/apportion.h"
#include "kvplace/generate/generate.h"
#include "kvplace/trace/reader.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

GeneratorConfig random_config() {
  GeneratorConfig config;
  config.seed = *rc::gen::inRange(0u, 1000u);
  config.layers = *rc::gen::inRange(1u, 5u);
  config.steps = *rc::gen::inRange(1u, 60u);
  config.prompt_tokens = *rc::gen::element(0u, 1u, 63u, 64u, 65u, 900u);
  config.block_tokens = *rc::gen::element(1u, 2u, 16u);
  config.ranking_depth = *rc::gen::element(0u, 1u, 20u, 5000u);
  if (*rc::gen::arbitrary<bool>()) {
    config.budget.blocks = *rc::gen::element(1u, 12u, 200u);
  } else {
    config.budget.share = *rc::gen::element(0.01, 0.4, 1.0);
  }
  config.parts.sink_tokens = *rc::gen::element(0u, 4u);
  config.parts.window_tokens = *rc::gen::element(0u, 1u, 33u);
  config.parts.slash_lines = *rc::gen::element(0u, 3u);
  config.parts.slash_steps = *rc::gen::element(1.0, 20.0);
  config.churn.overlap = *rc::gen::element(0.0, 0.5, 0.95, 1.0);
  config.churn.layer_spread = *rc::gen::element(0.0, 1.0);
  config.churn.step_spread = *rc::gen::element(0.0, 1.0);
  config.churn.common = *rc::gen::element(0.0, 0.5, 1.0);
  config.churn.phase_steps = *rc::gen::element(0.0, 8.0);
  config.churn.phase_share = *rc::gen::element(0.0, 0.8, 1.0);
  config.heavy.share = *rc::gen::element(0.0, 0.6, 1.0);
  config.heavy.drift = *rc::gen::element(0.0, 0.3);
  config.heavy.common = *rc::gen::element(0.0, 0.7, 1.0);
  config.reuse.recency = *rc::gen::element(0.0, 1.0, 3.0);
  config.reuse.fresh = *rc::gen::element(0.0, 0.2, 1.0);
  if (*rc::gen::arbitrary<bool>()) {
    config.experts.count = *rc::gen::element(1u, 8u);
    config.experts.active = *rc::gen::inRange(1u, config.experts.count + 1);
    config.experts.overlap = *rc::gen::element(0.0, 0.6);
  }
  RC_PRE(validate(config, "random").has_value());
  return config;
}

std::string generate(const GeneratorConfig& config, const std::string& path, unsigned threads) {
  RunContext context;
  context.threads = threads;
  generate_trace(config, path, {}, context).value();
  return path;
}

/// Blocks that a step may read at most, and must read.
std::uint64_t expected_pages(const GeneratorConfig& config, std::uint32_t step) {
  const std::uint64_t tokens = std::uint64_t{config.prompt_tokens} + step + 1;
  const std::uint64_t pages = (tokens + config.block_tokens - 1) / config.block_tokens;
  const auto wanted = config.budget.blocks > 0
                          ? config.budget.blocks
                          : static_cast<std::uint64_t>(std::llround(config.budget.share * static_cast<double>(pages)));
  return std::min(std::max<std::uint64_t>(wanted, 1), pages);
}

void check_record(const GeneratorConfig& config, const StepView& view) {
  const std::uint32_t t = view.step.value();
  const std::uint32_t newest = config.experts.count + (config.prompt_tokens + t) / config.block_tokens;
  RC_ASSERT(view.appended.size() == 1 && view.appended[0].value() == newest);
  const auto experts = static_cast<std::uint64_t>(std::count_if(
      view.reads.begin(), view.reads.end(), [&](BlockId id) { return id.value() < config.experts.count; }));
  RC_ASSERT(experts == config.experts.active);
  RC_ASSERT(view.reads.size() - experts == expected_pages(config, t));
  RC_ASSERT(view.reads.back().value() <= newest);
  if (config.parts.window_tokens > 0) {
    RC_ASSERT(view.reads.back().value() == newest);
  }
  for (std::uint32_t b = 0; b * config.block_tokens < config.parts.sink_tokens; ++b) {
    const BlockId sink(config.experts.count + b);
    RC_ASSERT(sink.value() > newest || std::binary_search(view.reads.begin(), view.reads.end(), sink));
  }
  RC_ASSERT(view.ranking.empty() == (config.ranking_depth == 0));
  if (!view.ranking.empty() && config.experts.count == 0) {
    std::vector<BlockId> best(view.ranking.begin(),
                              view.ranking.begin() + static_cast<std::ptrdiff_t>(view.reads.size()));
    std::sort(best.begin(), best.end());
    RC_ASSERT(std::ranges::equal(best, view.reads));
    const std::set<BlockId> distinct(view.ranking.begin(), view.ranking.end());
    RC_ASSERT(distinct.size() == view.ranking.size());
    const std::size_t all = newest + 1;
    RC_ASSERT(view.ranking.size() == std::min(all, std::max<std::size_t>(config.ranking_depth, view.reads.size())));
  }
}

RC_GTEST_PROP(Generate, BudgetsAreExactAndIdsValid, ()) {
  const GeneratorConfig config = random_config();
  const testing::TempDir folder;
  // The writer refuses ids that do not exist, are not ascending, or are twice in a ranking.
  const TraceReader trace = TraceReader::open(generate(config, folder.path("t.kvt"), 2)).value();
  RC_ASSERT(trace.totals().steps == config.steps);
  RC_ASSERT(trace.meta().layers == config.layers);
  RC_ASSERT(trace.meta().layout.prompt_tokens == config.prompt_tokens);
  for (std::size_t i = 0; i < trace.num_chunks(); ++i) {
    const Segment segment = trace.chunk(i).value();
    for (std::uint32_t t = segment.first_step(); t < segment.end_step(); ++t) {
      for (std::uint32_t layer = 0; layer < config.layers; ++layer) {
        check_record(config, segment.view(t, layer));
      }
    }
  }
}

RC_GTEST_PROP(Generate, BytesDoNotDependOnThreads, ()) {
  const GeneratorConfig config = random_config();
  const testing::TempDir folder;
  const std::string one = testing::TempDir::read(generate(config, folder.path("1.kvt"), 1));
  RC_ASSERT(one == testing::TempDir::read(generate(config, folder.path("4.kvt"), 4)));
}

TEST(Generate, SeedsDiffer) {
  GeneratorConfig config = load_generator("quest-64k").value();
  config.layers = 2;
  config.steps = 20;
  const testing::TempDir folder;
  const auto digest = [&](std::uint32_t seed) {
    config.seed = seed;
    return TraceReader::open(generate(config, folder.path("t.kvt"), 1)).value().totals().digest;
  };
  EXPECT_EQ(digest(1), digest(1));
  EXPECT_NE(digest(1), digest(2));
}

/// More decode steps go on where fewer end: a prefix of the trace does not depend on its length.
TEST(Generate, AShorterTraceIsAPrefix) {
  GeneratorConfig config = load_generator("dsa-32k").value();
  config.layers = 2;
  config.prompt_tokens = 3000;
  config.steps = 40;
  const testing::TempDir folder;
  const TraceReader longer = TraceReader::open(generate(config, folder.path("long.kvt"), 1)).value();
  config.steps = 15;
  const TraceReader shorter = TraceReader::open(generate(config, folder.path("short.kvt"), 1)).value();
  const Segment a = longer.chunk(0).value();
  const Segment b = shorter.chunk(0).value();
  for (std::uint32_t t = 0; t < config.steps; ++t) {
    for (std::uint32_t layer = 0; layer < 2; ++layer) {
      EXPECT_TRUE(std::ranges::equal(a.view(t, layer).reads, b.view(t, layer).reads)) << t << " " << layer;
    }
  }
}

/// However a group's share goes up and down, it has had what it should have had, but for a few.
RC_GTEST_PROP(EvenApportionment, NoGroupIsOwedMuch, ()) {
  const auto groups = *rc::gen::inRange<std::size_t>(1, 20);
  generate::Random random(*rc::gen::arbitrary<std::uint64_t>());
  generate::EvenApportionment even;
  const std::vector<std::uint32_t> counts(groups, 1000);
  std::vector<double> should(groups, 0);
  std::vector<double> had(groups, 0);
  for (int call = 0; call < 300; ++call) {
    std::vector<double> shares;
    for (std::size_t i = 0; i < groups; ++i) {
      shares.push_back(0.01 + random.unit());
    }
    const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
    const std::uint32_t wanted = random.below(8);
    const auto drawn = even.draw(counts, shares, wanted, random);
    RC_ASSERT(std::accumulate(drawn.begin(), drawn.end(), 0u) == wanted);
    for (std::size_t i = 0; i < groups; ++i) {
      should[i] += wanted * shares[i] / total;
      had[i] += drawn[i];
    }
  }
  for (std::size_t i = 0; i < groups; ++i) {
    RC_ASSERT(std::abs(had[i] - should[i]) < 5);
  }
}

RC_GTEST_PROP(Apportionment, SharesAreRoundedUpOrDown, ()) {
  const auto counts = *rc::gen::container<std::vector<std::uint32_t>>(*rc::gen::inRange<std::size_t>(1, 30),
                                                                      rc::gen::element(0u, 1u, 7u, 1000u));
  const auto weights = *rc::gen::container<std::vector<double>>(counts.size(), rc::gen::element(0.0, 0.25, 1.0, 8.0));
  std::uint64_t all = 0;
  double total = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    all += counts[i];
    total += counts[i] * weights[i];
  }
  const std::uint32_t wanted = *rc::gen::inRange(0u, 3000u);
  generate::Random random(*rc::gen::arbitrary<std::uint64_t>());
  generate::Apportionment apportionment;
  const auto drawn = apportionment.draw(counts, weights, wanted, random);
  std::uint64_t sum = 0;
  bool fits = total > 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    RC_ASSERT(drawn[i] <= counts[i]);
    sum += drawn[i];
    fits = fits && wanted * weights[i] <= total;
  }
  RC_ASSERT(sum == std::min<std::uint64_t>(wanted, all));
  for (std::size_t i = 0; i < counts.size() && fits; ++i) {
    const double share = wanted * counts[i] * weights[i] / total;
    RC_ASSERT(std::abs(drawn[i] - share) < 1 + 1e-6);
  }
}

}  // namespace
}  // namespace kvplace
