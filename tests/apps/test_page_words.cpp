// The sentences of pages, against their conditions worked out anew: they are there if and only if these hold.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "kvplace/base/short_text.h"
#include "kvplace/simulate/spent.h"
#include "page_words.h"
#include "support/random_instance.h"
#include "support/sides.h"

namespace kvplace {
namespace {

using testing::RandomCase;
using testing::RandomInstance;
using testing::Sides;

std::vector<PolicySpec> page_policies(RandomCase& random) {
  std::vector<PolicySpec> policies;
  for (const char* name : {"lru", "belady", "static", "best-case"}) {
    if (random.chance(0.6)) {
      policies.push_back(*PolicyRegistry::instance().parse(name));
    }
  }
  return policies;
}

/// Calls check(comparison, instance) for random instances.
template <typename Check>
void for_random_comparisons(Check&& check) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    RandomCase random(seed, {.steps = 12, .prompt_tokens = 12});
    RandomInstance c(random, random.shape());
    c.spec.options.start = Start::kRecent;
    const TraceReader trace = c.trace();
    const Instance instance = c.instance();
    const Comparison compared = compare(trace, instance, page_policies(random), {}).value();
    check(compared, instance);
  }
}

TEST(PageWords, TheClosestPolicyIsNamedAndWhetherPlacementMatters) {
  Sides sides;
  for_random_comparisons([&](const Comparison& compared, const Instance& instance) {
    double causal = INFINITY;  // the fastest that needs not know the future; else the fastest that does
    double oracle = INFINITY;
    double slowest = compared.static_time->value();
    double fastest = slowest;
    for (const ReplayResult& result : compared.results) {
      const double seconds = result.total.value();
      if (result.information != Information::kIdeal) {
        double& best = result.information == Information::kCausal ? causal : oracle;
        best = std::min(best, seconds);
        slowest = std::max(slowest, seconds);
        fastest = std::min(fastest, seconds);
      }
    }
    const double best = std::isfinite(causal) ? causal : oracle;
    const bool any = std::isfinite(best);
    const std::vector<std::string> sentences = cli::comparison_sentences(compared, instance);
    ASSERT_EQ(sentences.size(), 2u);
    sides.expect(sentences[0], "No policy was compared.", !any);
    sides.expect(sentences[0], " that does not know the future ", std::isfinite(causal));
    if (any) {
      const double tokens = instance.tokens_decoded(instance.steps());
      EXPECT_TRUE(testing::says(sentences[0], short_time(best / tokens) + " per token")) << sentences[0];
    }
    const bool none = slowest <= compared.bounds.perfect_split.value() * 1.01;
    const bool differ = slowest > fastest * 1.01;
    sides.expect(sentences[1], "Placement does not matter here", none);
    const bool matters = testing::says(sentences[1], "Placement matters here: ") ||
                         testing::says(sentences[1], "but placement matters here: ");
    EXPECT_EQ(matters, differ && any) << sentences[1];
    sides.expect(sentences[1], "not known", !none && !(differ && any));
  });
  sides.both();
}

/// A sum of what near memory, link and overheads take, and never less than the step.
TEST(PageWords, WhatAStepIsSpentOnAddsUpToIt) {
  for_random_comparisons([](const Comparison& compared, const Instance& instance) {
    for (const ReplayResult& result : compared.results) {
      const Spent spent = spent_in_step(result, instance);
      const double step = result.total.value() / result.steps;
      const double sum = spent.weights + spent.kv_near + spent.link + spent.selector + spent.overhead;
      EXPECT_GE(sum, step * (1 - 1e-12));
      EXPECT_TRUE(spent.link == 0 || std::abs(sum - step) <= 1e-12 * step);
      Seconds over_time;
      std::array<std::uint64_t, kNumChannels> bottlenecks{};
      for (const ReplayResult::Stretch& stretch : result.over_time) {
        over_time += stretch.time;
        for (std::size_t channel = 0; channel < kNumChannels; ++channel) {
          bottlenecks[channel] += stretch.bottleneck_steps[channel];
        }
      }
      EXPECT_NEAR(over_time / result.total, 1, 1e-12);
      EXPECT_EQ(bottlenecks, result.bottleneck_steps);
    }
  });
}

}  // namespace
}  // namespace kvplace
