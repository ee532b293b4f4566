// Choices of gaps that are not held: each exists, arrives within its gap, and what is left near keeps the capacity.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <memory>

#include "base/earliest_tree.h"
#include "solve/flow/flow_plan.h"
#include "solve/gap_plan/greedy.h"
#include "support/paper_machine.h"
#include "support/random_instance.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

struct Problem {
  TraceReader trace;
  std::unique_ptr<const Instance> instance;  // `cost` points to it
  PlanCost cost;
  std::vector<GapClass> gaps;
  std::int64_t capacity;
};

Problem random_problem(const testing::TempDir& folder) {
  testing::RandomCase random = testing::drawn_case({.steps = 60, .prompt_tokens = 60, .reads = 14, .near_blocks = 17});
  const testing::RandomTraceShape shape = random.plain_shape();
  InstanceSpec spec = random.spec(shape);
  spec.options.mode = Mode::kInclusive;
  spec.options.barrier = Barrier::kLayer;
  spec.options.batch = 1;
  TraceReader trace = TraceReader::open(testing::write_random_trace(folder.path("t.kvt"), shape)).value();
  auto instance = std::make_unique<const Instance>(Instance::make(spec, trace.meta(), trace.totals()).value());
  PlanCost cost = PlanCost::make(trace, *instance, {}).value();
  const GapClasses classes = build_gap_classes(trace, *instance, [] { return false; }, {}).value();
  const std::int64_t block = instance->kv_block_bytes(LayerIndex(0)).value();
  const std::int64_t capacity = instance->capacity().value() / block;
  return {std::move(trace), std::move(instance), std::move(cost), list_gaps(classes, static_cast<double>(block)),
          capacity};
}

void check(const Problem& problem, const std::vector<Arrival>& arrivals) {
  using Key = std::tuple<std::uint32_t, std::uint32_t, bool>;
  std::map<Key, std::int64_t> held;
  std::vector<std::int64_t> near(std::size_t{problem.cost.num_steps()} + 3, 0);
  const auto occupy = [&near](std::uint32_t first, std::uint32_t last, std::int64_t blocks) {
    near[first] += blocks;
    near[last + 1] -= blocks;
  };
  for (const GapClass& gap : problem.gaps) {
    held[{gap.from, gap.to, gap.may_hold}] += gap.blocks;
  }
  for (const Arrival& arrival : arrivals) {
    RC_ASSERT(arrival.blocks > 0u);
    RC_ASSERT(arrival.arrive > arrival.from && arrival.arrive <= arrival.to + 1);
    held[{arrival.from, arrival.to, arrival.may_hold}] -= arrival.blocks;
    if (arrival.arrive <= arrival.to) {
      occupy(arrival.arrive, arrival.to, arrival.blocks);
    }
  }
  for (const auto& [key, blocks] : held) {
    const auto& [from, to, may_hold] = key;
    RC_ASSERT(blocks == 0 || (may_hold && blocks > 0));
    occupy(from, to, blocks);
  }
  std::int64_t now = 0;
  for (std::size_t boundary = 0; boundary < near.size(); ++boundary) {
    now += near[boundary];
    // What a given start has near has room there.
    RC_ASSERT(now <= problem.capacity || (boundary == 0 && problem.instance->options().start != Start::kFree));
  }
}

RC_GTEST_PROP(Arrivals, OfTheGreedyChoiceKeepTheCapacity, ()) {
  const testing::TempDir folder;
  const Problem problem = random_problem(folder);
  const auto arrivals = greedy_arrivals(problem.gaps, problem.cost, problem.capacity,
                                        problem.instance->options().start == Start::kFree, [] { return false; });
  RC_ASSERT(arrivals.has_value());
  check(problem, *arrivals);
}

std::vector<GroupCounts> random_counts(const PlanCost& cost) {
  std::vector<GroupCounts> counts(cost.num_groups());
  for (std::uint32_t group = 0; group < cost.num_groups(); ++group) {
    const auto reads = static_cast<std::int32_t>(cost.movable_reads(group));
    counts[group] = {*rc::gen::inRange(0, std::min(reads, 3) + 1), *rc::gen::inRange(0, 4), *rc::gen::inRange(0, 4)};
  }
  return counts;
}

RC_GTEST_PROP(StepCosts, WhatIsFreeTakesNoTimeBesideThePlan, ()) {
  const testing::TempDir folder;
  const Problem problem = random_problem(folder);
  const std::vector<GroupCounts> around = random_counts(problem.cost);
  const StepCosts costs(problem.cost, around);
  bool any = false;
  for (std::uint32_t step = 0; step < costs.num_steps(); ++step) {
    const auto free = static_cast<std::int32_t>(2 * costs.free_promotions(step) + costs.free_stays(step));
    const auto time_with = [&](std::int32_t blocks) {
      return problem.cost.time(step,
                               {around[step].misses, around[step].prefetches, blocks - 2 * around[step].prefetches});
    };
    RC_ASSERT(costs.free_promotions(step) >= 0 && costs.free_stays(step) >= 0);
    RC_ASSERT(time_with(free) <= time_with(0) + 2e-6 * problem.cost.far_read_time());
    const auto reads = static_cast<std::int32_t>(problem.cost.movable_reads(step));
    RC_ASSERT(free > 4 * reads || time_with(free + 1) > time_with(0));
    any = any || free > 0;
  }
  RC_CLASSIFY(any, "some are free");
}

RC_GTEST_PROP(Arrivals, OfFlowsKeepTheCapacityHoweverTheTraceIsCut, ()) {
  const testing::TempDir folder;
  const Problem problem = random_problem(folder);
  FlowOptions options;
  options.gaps_per_piece = *rc::gen::element<std::size_t>(3, 10, 50, 100'000);
  options.ahead = *rc::gen::element(0.0, 0.5, 2.0);
  const std::vector<GroupCounts> around =
      *rc::gen::arbitrary<bool>() ? random_counts(problem.cost) : std::vector<GroupCounts>(problem.cost.num_groups());
  const auto arrivals = flow_arrivals(
      problem.gaps, StepCosts(problem.cost, around), problem.capacity,
      problem.instance->options().start == Start::kFree, options, [] { return false; }, nullptr);
  RC_ASSERT(arrivals.has_value());
  check(problem, *arrivals);
}

RC_GTEST_PROP(EarliestTree, IsTheLeastOfThoseFromANumberOn, ()) {
  const auto count = *rc::gen::inRange<std::size_t>(1, 40);
  EarliestTree set(count);
  std::vector<std::uint32_t> from(count, EarliestTree::kNone);
  for (int i = 0; i < 60; ++i) {
    const auto gap = *rc::gen::inRange<std::size_t>(0, count);
    if (from[gap] == EarliestTree::kNone) {
      from[gap] = *rc::gen::inRange<std::uint32_t>(0, 10);
      set.insert(gap, from[gap]);
    } else {
      from[gap] = EarliestTree::kNone;
      set.erase(gap);
    }
    const auto first = *rc::gen::inRange<std::size_t>(0, count + 1);
    const auto least = std::min_element(from.begin() + static_cast<std::ptrdiff_t>(first), from.end());
    const bool none = least == from.end() || *least == EarliestTree::kNone;
    RC_ASSERT(set.from(first) == (none ? EarliestTree::kNone : static_cast<std::uint32_t>(least - from.begin())));
  }
}

}  // namespace
}  // namespace kvplace
