// Budgets per layer against brute force: envelopes, divisions, miss curves, and what a replay says of the result.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "kvplace/simulate/replay.h"
#include "kvplace/size/allocate.h"
#include "kvplace/size/budgets.h"
#include "kvplace/size/miss_curve.h"
#include "support/paper_machine.h"
#include "support/random_instance.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"

// RC_ASSERT evaluates both sides of || and && unless they stand in brackets of their own.

namespace kvplace {
namespace {

using testing::drawn;

/// Any curve, with jumps and rises, at unequal distances.
LayerMissCurve random_curve() {
  LayerMissCurve curve{{0, static_cast<double>(drawn(rc::gen::inRange(0, 100)))}};
  for (int i = drawn(rc::gen::inRange(0, 6)); i > 0; --i) {
    const double fall = drawn(rc::gen::element(0.0, 1.0, 5.0, 30.0, -3.0));
    curve.push_back({curve.back().blocks + static_cast<std::uint32_t>(drawn(rc::gen::inRange(1, 4))),
                     std::max(0.0, curve.back().misses - fall)});
  }
  return curve;
}

double value_of(std::span<const LayerMissCurve> curves, std::span<const std::uint32_t> blocks) {
  double sum = 0;
  for (std::size_t layer = 0; layer < curves.size(); ++layer) {
    sum += misses_at(curves[layer], blocks[layer]);
  }
  return sum;
}

/// The least value of all divisions, by trying them all.
double best_by_trying(std::span<const LayerMissCurve> curves, std::uint64_t total, std::uint32_t least) {
  if (curves.empty()) {
    return 0;
  }
  double best = INFINITY;
  const std::uint32_t most = curves.front().back().blocks;
  for (std::uint32_t blocks = std::min(least, most); blocks <= most && blocks <= total; ++blocks) {
    best = std::min(best, misses_at(curves.front(), blocks) + best_by_trying(curves.subspan(1), total - blocks, least));
  }
  return best;
}

RC_GTEST_PROP(Budgets, TheEnvelopeIsTheLargestConvexCurveBelow, ()) {
  const LayerMissCurve curve = random_curve();
  const LayerMissCurve envelope = lower_envelope(curve);
  RC_ASSERT(envelope.front().blocks == 0u);
  RC_ASSERT(envelope.back().blocks == curve.back().blocks);
  double lowest = INFINITY;
  for (const CurvePoint& point : curve) {
    lowest = std::min(lowest, point.misses);
    RC_ASSERT(misses_at(envelope, point.blocks) <= point.misses + 1e-9);
  }
  for (std::uint32_t b = 1; b + 1 <= curve.back().blocks; ++b) {
    RC_ASSERT(misses_at(envelope, b) <= (misses_at(envelope, b - 1) + misses_at(envelope, b + 1)) / 2 + 1e-9);
  }
  for (const CurvePoint& point : envelope) {  // it touches the curve, unless more blocks only did harm
    RC_ASSERT((std::abs(misses_at(curve, point.blocks) - point.misses) < 1e-9 || point.misses == lowest));
  }
}

RC_GTEST_PROP(Budgets, AllocationIsTheBestOfAllDivisions, ()) {
  std::vector<LayerMissCurve> envelopes;
  std::uint64_t room = 0;
  for (int layer = drawn(rc::gen::inRange(1, 5)); layer > 0; --layer) {
    envelopes.push_back(lower_envelope(random_curve()));
    room += envelopes.back().back().blocks;
  }
  const auto total = static_cast<std::uint64_t>(drawn(rc::gen::inRange(0, 30)));
  const auto least = static_cast<std::uint32_t>(drawn(rc::gen::element(0, 0, 1, 2)));
  const std::vector<std::uint32_t> blocks = allocate(envelopes, total, least);
  std::uint64_t used = 0;
  std::uint64_t needed = 0;
  for (std::size_t layer = 0; layer < envelopes.size(); ++layer) {
    RC_ASSERT(blocks[layer] <= envelopes[layer].back().blocks);
    used += blocks[layer];
    needed += std::min(least, envelopes[layer].back().blocks);
  }
  RC_ASSERT(used == std::min(total, room));  // nothing is left that somebody could use
  if (needed <= total) {
    for (std::size_t layer = 0; layer < envelopes.size(); ++layer) {
      RC_ASSERT(blocks[layer] >= std::min(least, envelopes[layer].back().blocks));
    }
    RC_ASSERT(std::abs(value_of(envelopes, blocks) - best_by_trying(envelopes, total, least)) < 1e-9);
  }
}

struct BudgetCase {
  std::unique_ptr<testing::TempDir> folder;
  TraceReader trace;
  Instance instance;
};

BudgetCase random_budget_case(std::uint32_t reads, Start start, std::uint32_t steps = 40) {
  testing::RandomCase random = testing::drawn_case({.layers = 4, .prompt_tokens = 25});
  testing::RandomTraceShape shape = random.plain_shape();
  shape.steps = steps;
  shape.block_tokens = 1;
  shape.prompt_tokens += 5;
  shape.reads = reads;
  auto folder = std::make_unique<testing::TempDir>();
  TraceReader trace = TraceReader::open(testing::write_random_trace(folder->path("t.kvt"), shape)).value();
  InstanceSpec spec;
  spec.hardware = testing::paper_machine();
  spec.options.start = start;
  spec.options.near_blocks_per_layer = random.below(20);
  Instance instance = Instance::make(spec, trace.meta(), trace.totals()).value();
  return {std::move(folder), std::move(trace), std::move(instance)};
}

std::vector<std::uint64_t> replayed_misses(const BudgetCase& c, const std::string& policy, std::uint32_t blocks) {
  InstanceSpec spec = c.instance.spec();
  spec.options.near_blocks_per_layer = blocks;
  const Instance instance = Instance::make(spec, c.trace.meta(), c.trace.totals()).value();
  const ReplayJob job{&instance, PolicyRegistry::instance().parse(policy).value()};
  return replay(c.trace, std::span(&job, 1), {}).value().front().far_reads_by_layer;
}

/// The curve is the policy's at the reference, whatever a step reads.
RC_GTEST_PROP(Budgets, TheLruCurveIsThePolicysAtItsReference, ()) {
  const BudgetCase c =
      random_budget_case(drawn(rc::gen::inRange(2u, 10u)), drawn(rc::gen::element(Start::kRecent, Start::kEmpty)));
  const auto lru = PolicyRegistry::instance().parse("lru").value();
  const std::uint32_t blocks = drawn(rc::gen::inRange(0u, c.trace.totals().blocks_per_layer + 1));
  const std::vector<std::uint32_t> reference(c.instance.layers(), blocks);
  const auto curves = measure_miss_curves(c.trace, c.instance, lru, reference, {}).value();
  const auto replayed = replayed_misses(c, "lru", blocks);
  RC_ASSERT(curves.size() == replayed.size());
  for (std::size_t layer = 0; layer < curves.size(); ++layer) {
    RC_ASSERT(misses_at(curves[layer], blocks) == static_cast<double>(replayed[layer]));
  }
}

/// Where a step reads one block beside the one it writes, the order within it hardly matters: so it is everywhere.
RC_GTEST_PROP(Budgets, TheLruCurveIsThePolicysWhereStepsHaveNoTies, ()) {
  const BudgetCase c = random_budget_case(2, drawn(rc::gen::element(Start::kRecent, Start::kEmpty)));
  const std::vector<std::uint32_t> reference(c.instance.layers(), c.trace.totals().blocks_per_layer);
  const auto curves =
      measure_miss_curves(c.trace, c.instance, PolicyRegistry::instance().parse("lru").value(), reference, {}).value();
  RC_ASSERT(curves.size() == c.instance.layers());
  for (std::uint32_t blocks = 2; blocks <= c.trace.totals().blocks_per_layer; ++blocks) {
    const auto replayed = replayed_misses(c, "lru", blocks);
    for (std::size_t layer = 0; layer < curves.size(); ++layer) {
      RC_ASSERT(misses_at(curves[layer], blocks) == static_cast<double>(replayed[layer]));
    }
  }
}

RC_GTEST_PROP(Budgets, OtherCurvesAreReplaysAtTheirPoints, ()) {
  const BudgetCase c = random_budget_case(5, Start::kRecent, 15);
  const std::string policy = drawn(rc::gen::element<std::string>("fifo", "clock", "belady"));
  const auto curves =
      measure_miss_curves(c.trace, c.instance, PolicyRegistry::instance().parse(policy).value(), {}, {}).value();
  for (std::size_t i = 0; i < curves.front().size(); ++i) {
    const auto replayed = replayed_misses(c, policy, curves.front()[i].blocks);
    for (std::size_t layer = 0; layer < curves.size(); ++layer) {
      RC_ASSERT(curves[layer][i].misses == static_cast<double>(replayed[layer]));
    }
  }
  RC_ASSERT(curves.front().front().blocks == 0u);
  RC_ASSERT(curves.front().back().blocks == c.trace.totals().blocks_per_layer);
}

RC_GTEST_PROP(Budgets, NeverWorseThanEqualOnTheirOwnTraces, ()) {
  const BudgetCase c =
      random_budget_case(drawn(rc::gen::inRange(2u, 9u)), drawn(rc::gen::element(Start::kRecent, Start::kEmpty)));
  BudgetOptions options;
  options.policy =
      PolicyRegistry::instance().parse(drawn(rc::gen::element<std::string>("lru", "lru", "fifo", "belady"))).value();
  const BudgetTrace given{&c.trace, &c.instance};
  const Result<LayerBudgets> found = find_budgets(std::span(&given, 1), {}, options, {});
  RC_ASSERT(found.has_value() == (c.instance.capacity().value() > 0));
  if (!found) {
    return;
  }
  const LayerBudgets& budgets = *found;
  const BudgetCheck& check = budgets.checks.front();
  RC_ASSERT(check.found.far_reads <= check.equal.far_reads);
  RC_ASSERT(check.found.total <= check.equal.total);
  std::uint64_t sum = 0;
  for (const std::uint32_t blocks : budgets.blocks) {
    sum += blocks;
  }
  RC_ASSERT(sum <= budgets.total_blocks);
  // What is reported is what a replay with these shares says.
  InstanceSpec spec = c.instance.spec();
  spec.options.layer_shares.assign(budgets.blocks.begin(), budgets.blocks.end());
  if (sum > 0 && !budgets.equal_are_better) {
    const Instance with_budgets = Instance::make(spec, c.trace.meta(), c.trace.totals()).value();
    const ReplayJob job{&with_budgets, options.policy};
    const ReplayResult result = replay(c.trace, std::span(&job, 1), {}).value().front();
    RC_ASSERT(result.far_reads == check.found.far_reads);
    RC_ASSERT(result.total == check.found.total);
  }
}

/// Belady's curves are convex, so on whole divisions the result is the best that a replay of all of them finds, as far
/// as its curve is known: with few blocks every capacity is a point of it.
TEST(Budgets, BeladyBudgetsAreTheBestOfAllDivisions) {
  testing::RandomTraceShape shape;
  shape.layers = 2;
  shape.steps = 60;
  shape.prompt_tokens = 12;
  shape.reads = 4;
  shape.block_tokens = 16;  // few blocks: every capacity up to 6 is replayed
  shape.prompt_tokens = 40;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    shape.seed = seed;
    const testing::TempDir folder;
    const TraceReader trace = TraceReader::open(testing::write_random_trace(folder.path("t.kvt"), shape)).value();
    ASSERT_LE(trace.totals().blocks_per_layer, 8u);
    InstanceSpec spec;
    spec.hardware = testing::paper_machine();
    spec.options.start = Start::kEmpty;
    spec.options.near_blocks_per_layer = 3;
    const Instance instance = Instance::make(spec, trace.meta(), trace.totals()).value();
    BudgetOptions options;
    options.policy = PolicyRegistry::instance().parse("belady").value();
    const BudgetTrace given{&trace, &instance};
    const LayerBudgets budgets = find_budgets(std::span(&given, 1), {}, options, {}).value();
    std::uint64_t best = UINT64_MAX;
    for (double first = 0; first <= 6; ++first) {
      spec.options.layer_shares = {first, 6 - first};
      const Instance divided = Instance::make(spec, trace.meta(), trace.totals()).value();
      const ReplayJob job{&divided, options.policy};
      best = std::min(best, replay(trace, std::span(&job, 1), {}).value().front().far_reads);
    }
    EXPECT_EQ(budgets.checks.front().found.far_reads, best) << "seed " << seed;
  }
}

}  // namespace
}  // namespace kvplace
