// Ascent on the whole dual: against the verifier, which shares no code with it, and against weak duality itself.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>

#include "kvplace/bound/verify.h"
#include "solve/search/price_ascent.h"
#include "support/random_instance.h"

namespace kvplace {
namespace {

using testing::CaseLimits;
using testing::drawn;
using testing::RandomInstance;

constexpr CaseLimits kShape{3, 12, 8, 6, 4};

double few_hundredths() { return 0.01 * drawn(rc::gen::inRange(0, 100)); }

PathPrices random_prices(const Instance& instance) {
  PathPrices prices;
  const std::size_t num_steps = std::size_t{instance.steps()} * instance.layers();
  prices.rows.push_back(instance.options().start == Start::kFree ? few_hundredths() : 0);
  for (std::size_t k = 0; k < num_steps; ++k) {
    prices.enter.push_back(few_hundredths());
    prices.miss.push_back(few_hundredths());
    prices.rows.push_back(0.2 * few_hundredths());
  }
  return prices;
}

/// What these paths would cost at other prices.
double cost_of(const PathLoads& loads, const PathPrices& prices) {
  double cost = 0;
  for (std::size_t k = 0; k < prices.miss.size(); ++k) {
    cost += static_cast<double>(loads.over_link[k]) * prices.miss[k] +
            static_cast<double>(loads.entered[k]) * prices.enter[k];
  }
  for (std::size_t row = 0; row < prices.rows.size(); ++row) {
    cost += static_cast<double>(loads.near[row]) * prices.rows[row];
  }
  return cost;
}

RC_GTEST_PROP(PriceAscent, PathsCostWhatTheyLoadAndNoneAtOtherPricesIsDearerThanTheCheapest, ()) {
  RandomInstance random(kShape);
  random.spec.options.mode = Mode::kInclusive;
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  RC_PRE(instance.uniform());
  Result<BlockPaths> paths = BlockPaths::make(trace, instance, [] { return false; }, 2);
  RC_ASSERT(paths.has_value());
  const PathPrices prices = random_prices(instance);
  const PathPrices others = random_prices(instance);
  PathLoads loads;
  const double cost = (*paths)(prices, loads);
  RC_ASSERT(std::abs(cost - cost_of(loads, prices)) < 1e-9 * (1 + cost));
  PathLoads other_loads;
  const double other_cost = (*paths)(others, other_loads);
  RC_ASSERT(other_cost <= cost_of(loads, others) + 1e-9);
  RC_ASSERT(cost <= cost_of(other_loads, prices) + 1e-9);
}

RC_GTEST_PROP(PriceAscent, TheCertificateProvesNoLessThanItBelieves, ()) {
  RandomInstance random(kShape);
  random.spec.options.mode = Mode::kInclusive;
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  RC_PRE(instance.uniform() && instance.steps() > 0);
  const Result<GapClasses> classes = build_gap_classes(trace, instance, [] { return false; }, {});
  RC_ASSERT(classes.has_value());
  const GapDual dual(instance, *classes, 1);
  Result<BlockPaths> paths = BlockPaths::make(trace, instance, [] { return false; }, 1);
  RC_ASSERT(paths.has_value());
  ShareTable start;
  start.shares.resize(dual.groups().num_groups());
  for (auto& shares : start.shares) {
    shares[static_cast<std::size_t>(Channel::kNearMem)] = few_hundredths();
    shares[static_cast<std::size_t>(Channel::kFarMem)] = few_hundredths();
  }
  start.rows.assign(dual.groups().num_steps(), 0);
  const BoundNumbers numbers = bound_numbers(instance, trace).value();
  const Certificate from = quantize(Claim::kStep, numbers, false, start);
  const auto count = drawn(rc::gen::element<std::uint64_t>(0, 30, 60));
  const Ascended found = ascend(instance, *classes, dual, *paths, from, count, [] { return false; }, nullptr);
  const Result<VerifiedBound> before = verify(trace, from, {});
  const Result<VerifiedBound> after = verify(trace, quantize(Claim::kStep, numbers, false, found.table), {});
  RC_ASSERT(before.has_value() && after.has_value());
  // Interference and bandwidths are rounded; what is rounded is more than the bound where rows are dear.
  double gross = after->bound.value();
  for (const double row : found.table.rows) {
    gross += row * static_cast<double>(instance.capacity().value());
  }
  gross += found.table.start * static_cast<double>(instance.capacity().value());
  RC_ASSERT(after->bound.value() >= found.value_s - 1e-5 * gross);
  RC_CLASSIFY(after->bound.value() > before->bound.value() * 1.01, "more than before");
}

}  // namespace
}  // namespace kvplace
