// Every sentence in which the command concludes something about a comparison or a proof, against its condition worked
// out anew from raw results: it is there if and only if that holds, and both happens.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "kvplace/simulate/compare.h"
#include "kvplace/simulate/prove.h"
#include "support/random_instance.h"
#include "support/sides.h"
#include "tables.h"
#include "verdicts.h"

namespace kvplace {
namespace {

using testing::RandomCase;
using testing::RandomInstance;
using testing::says;
using testing::Sides;

/// A trace and an instance of it, often with so much near memory or weights that placement hardly matters.
struct VerdictCase : RandomInstance {
  explicit VerdictCase(RandomCase& random, std::optional<Start> start = {}) : RandomInstance(random, random.shape()) {
    spec.options.weight_bytes_per_step = Bytes(random.one_of({0, 3000, 1'000'000, 100'000'000}));
    spec.options.weights_near = 1;
    if (random.chance(0.3)) {
      spec.options.near_capacity.reset();
      spec.options.near_fraction = 1.0;
      spec.options.start = Start::kRecent;
    }
    spec.options.start = start.value_or(spec.options.start);
  }
};

RandomCase random_case(std::uint64_t seed) { return RandomCase(seed, {.steps = 12, .prompt_tokens = 12}); }

std::vector<PolicySpec> some_policies(RandomCase& random, const Instance& instance) {
  std::vector<PolicySpec> policies;
  const bool free_start = instance.options().start == Start::kFree;
  const std::vector<std::string> names = free_start
                                             ? std::vector<std::string>{"belady", "belady-global", "belady-balanced"}
                                             : std::vector<std::string>{"lru", "fifo", "static", "best-case", "arc"};
  for (const std::string& name : names) {
    if (random.chance(0.5)) {
      policies.push_back(*PolicyRegistry::instance().parse(name));
    }
  }
  return policies;
}

TEST(Verdicts, PlacementDoesNotMatterIfAndOnlyIfEvenMovingNothingIsNearTheBound) {
  Sides sides;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    RandomCase random = random_case(seed);
    const VerdictCase c(random);
    const TraceReader trace = c.trace();
    const Instance instance = c.instance();
    Comparison compared = compare(trace, instance, some_policies(random, instance), {}).value();
    if (random.chance(0.3)) {
      compared.proven = solve_bound(trace, instance, {}, {}).value();
    }
    // Anew: moving nothing, replayed alone, and the rows that a schedule stands behind.
    const Instance unmoved = instance.options().start == Start::kFree ? instance.with_start(Start::kRecent) : instance;
    const ReplayJob job{&unmoved, {"static", {}}};
    const double still = replay(trace, std::span(&job, 1), {}).value().front().total.value();
    double fastest = still;
    double slowest = still;
    std::size_t others = 0;
    std::size_t placements = 0;
    double first = INFINITY;
    double last = 0;
    for (const ReplayResult& result : compared.results) {
      if (result.found_by != "best-case") {
        fastest = std::min(fastest, result.total.value());
        slowest = std::max(slowest, result.total.value());
        first = std::min(first, result.total.value());
        last = std::max(last, result.total.value());
        others += result.found_by != "static" ? 1U : 0U;
        ++placements;
      }
    }
    const double bound =
        compared.proven ? compared.proven->verified.bound.value() : compared.bounds.perfect_split.value();
    const bool none = slowest <= bound * 1.01;
    const bool differ = slowest > fastest * 1.01;
    ASSERT_FALSE(none && differ);
    EXPECT_EQ(compared.placement_matters(), none ? std::optional(false) : differ ? std::optional(true) : std::nullopt);
    EXPECT_EQ(compared.static_time->value(), still);
    const std::string text = cli::placement_verdict(compared, instance);
    sides.expect(text, "Placement does not matter here", none);
    sides.expect(text, "and every policy above are within 1 %", none && others > 0);
    sides.expect(text, "of the certified bound", compared.proven && none);
    sides.expect(text, "is not known here", !none && !differ && others > 0);
    sides.expect(text, "but placement matters here", differ && others > 0 && placements > 1 && last <= first * 1.01);
    std::int64_t weights = 0;
    std::int64_t all = 0;
    for (const ReplayResult& result : compared.results) {
      weights = instance.weight_bytes_per_step().value() * instance.layers() * instance.steps();
      all = result.read_bytes;
    }
    sides.expect(text, "are weights", none && all > 0 && 2 * weights >= all);
    EXPECT_TRUE(says(cli::table(compared, instance, 100), text));
  }
  sides.both();
}

/// And it is so: tests/property/test_engine_costs.cpp compares both kinds of bounds with all policies.
TEST(Verdicts, BoundsSayWhatTheyCountOfAnEngine) {
  Sides sides;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    RandomCase random = random_case(seed);
    VerdictCase c(random);
    c.spec.engine.kv_efficiency = random.one_of({1.0, 0.5});
    c.spec.engine.tiered_overhead = Seconds(random.one_of({0.0, 1e-6}));
    c.spec.hardware.far.latency = Seconds(random.one_of({0.0, 1e-6}));
    c.spec.options.bound_costs = random.one_of({BoundCosts::kPeak, BoundCosts::kEngine});
    const Instance instance = c.instance();
    const bool costs = (c.spec.engine.kv_efficiency < 1 && c.shape.experts == 0) ||
                       c.spec.hardware.far.latency > Seconds(0) ||
                       (c.spec.engine.tiered_overhead > Seconds(0) && instance.tiered());
    const bool peak = c.spec.options.bound_costs == BoundCosts::kPeak;
    const std::string text = cli::costs_verdict(instance);
    sides.expect(text, "Bounds are of the machine at its peak: they count no efficiency, overhead or latency",
                 costs && peak);
    sides.expect(text, "Bounds count the engine's efficiencies and overheads, but no latency", costs && !peak);
  }
  sides.both();
}

TEST(Verdicts, TheLegendNamesTheRowsThatAreThere) {
  Sides sides;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    RandomCase random = random_case(seed);
    VerdictCase c(random);
    const bool background = c.spec.options.overlap == Overlap::kFull && random.chance(0.5);
    c.spec.options.copies = background ? Copies::kBackground : Copies::kStep;
    const TraceReader trace = c.trace();
    const Instance instance = c.instance();
    Comparison compared = compare(trace, instance, some_policies(random, instance), {}).value();
    const bool proves = random.chance(0.5);
    if (proves) {
      const ProvenBounds both = solve_bounds(trace, instance, {}, {}).value();
      compared.proven = both.step;
      compared.proven_any = both.any;
    }
    const std::string text = cli::legend(compared);
    const bool ideal = std::any_of(compared.results.begin(), compared.results.end(),
                                   [](const ReplayResult& r) { return r.found_by == "best-case"; });
    sides.expect(text, "(certified): proven for schedules whose copies are of whole blocks", proves);
    sides.expect(text, "(any): proven for schedules whose copies may span steps", proves);
    sides.expect(text, "x bound is over (any)", proves && background);
    sides.expect(text, "whose requests may be placed differently", proves && instance.options().batch > 1);
    sides.expect(text, "best-case: an ideal, no placement", ideal);
    sides.expect(text, "whose requests are placed alike", proves && instance.options().batch > 1);
    sides.expect(text, "within one layer of", proves && instance.options().barrier == Barrier::kLayer);
    sides.expect(text, "within one decode step", proves && instance.options().barrier == Barrier::kToken);
    EXPECT_TRUE(says(text, "(perfect split): no schedule that writes new KV as it comes is faster") &&
                says(text, "(all near)"));
    // What it says of the rows: none that a schedule stands behind is below a bound, and the claims' bounds are in
    // order.
    EXPECT_TRUE(!proves || compared.proven_any->verified.bound <= compared.proven->verified.bound);
    for (const ReplayResult& result : compared.results) {
      const double above = result.total / compared.lower_bound();
      EXPECT_TRUE(result.information == Information::kIdeal || above >= 1 - 1e-9) << result.found_by;
    }
    EXPECT_LE(compared.bounds.perfect_split.value(), compared.bounds.all_near.value() * (1 + 1e-12));
    EXPECT_EQ(cli::legend(), cli::legend(Comparison()));
  }
  sides.both();
}

TEST(Verdicts, AnEarlyEndIsSaid) {
  Sides sides;
  for (const bool stopped : {false, true}) {
    // Planning that is stopped before it begins is an error, as is any oracle.
    for (const char* seconds : {"planned:seconds=0", "planned", "lru"}) {
      if (stopped && seconds != std::string("lru")) {
        continue;
      }
      RandomCase random = random_case(7);
      const VerdictCase c(random, Start::kRecent);
      const TraceReader trace = c.trace();
      const Instance instance = c.instance();
      Interrupt interrupt;
      RunContext context;
      context.interrupt = &interrupt;
      if (stopped) {
        interrupt.request();
      }
      const std::vector<PolicySpec> policies{*PolicyRegistry::instance().parse(seconds)};
      const Result<Comparison> made = compare(trace, instance, policies, context);
      ASSERT_TRUE(made.has_value()) << made.error().message;
      const Comparison& compared = *made;
      const std::string text = cli::ending_verdict(compared, instance);
      sides.expect(text, "Interrupted:", stopped);
      sides.expect(text, "its time limit ended the planning", !stopped && std::string(seconds).ends_with("=0"));
      EXPECT_EQ(compared.static_time.has_value(), !stopped);
      EXPECT_TRUE(!stopped || cli::placement_verdict(compared, instance).empty());
      for (const SearchStatus status : {SearchStatus::kConverged, SearchStatus::kTimeLimit}) {
        Comparison bounded = compared;
        bounded.proven.emplace();
        bounded.proven->status = status;
        sides.expect(cli::ending_verdict(bounded, instance), "(certified): valid, but its search was cut short",
                     status != SearchStatus::kConverged);
        bounded.covers = Claim::kAny;
        bounded.proven_any.emplace();
        bounded.proven_any->status = status;
        bounded.proven->status = SearchStatus::kConverged;
        sides.expect(cli::ending_verdict(bounded, instance), "(any): valid, but its search was cut short",
                     status != SearchStatus::kConverged);
      }
      Comparison searching = compared;  // a search that was interrupted after the pass of all
      searching.complete = false;
      sides.expect(cli::ending_verdict(searching, instance), "what searches found until then", !stopped);
    }
  }
  sides.both();
}

TEST(Verdicts, TheSearchAndThePlanningEndEachOnItsOwn) {
  Sides sides;
  for (const SearchStatus search : {SearchStatus::kConverged, SearchStatus::kTimeLimit, SearchStatus::kInterrupted}) {
    for (const std::optional<PlanStatus> planning :
         {std::optional<PlanStatus>(), std::optional(PlanStatus::kConverged), std::optional(PlanStatus::kNearEnough),
          std::optional(PlanStatus::kTimeLimit), std::optional(PlanStatus::kInterrupted)}) {
      Proof proof;
      proof.bound.status = search;
      proof.bound.verified.bound = Seconds(2);
      proof.planning = planning;
      if (planning && planning != PlanStatus::kInterrupted) {
        proof.schedule.emplace();
        proof.schedule->total = Seconds(3);
      }
      const std::string of_search = cli::search_verdict(proof.bound);
      sides.expect(of_search, "converged", search == SearchStatus::kConverged);
      sides.expect(of_search, "search ended by the time limit", search == SearchStatus::kTimeLimit);
      sides.expect(of_search, "search interrupted", search == SearchStatus::kInterrupted);
      const std::string of_planning = cli::planning_verdict(proof);
      sides.expect(of_planning, "planning converged", planning == PlanStatus::kConverged);
      sides.expect(of_planning, "near enough", planning == PlanStatus::kNearEnough);
      sides.expect(of_planning, "planning ended by the time limit", planning == PlanStatus::kTimeLimit);
      sides.expect(of_planning, "planning interrupted", planning == PlanStatus::kInterrupted);
      sides.expect(of_planning, "50.000 % above the bound", proof.schedule.has_value());
      Proof background = proof;
      background.covers = Claim::kAny;
      background.any.verified.bound = Seconds(1.5);
      sides.expect(cli::planning_verdict(background), "100.000 % above any", proof.schedule.has_value());
      const bool whole = search == SearchStatus::kConverged &&
                         (!planning || planning == PlanStatus::kConverged || planning == PlanStatus::kNearEnough);
      EXPECT_EQ(proof.limit_reached(), !whole);
    }
  }
  sides.both();
}

TEST(Verdicts, HowProvingEndsIsWhatItsLimitsSay) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(seed);
    RandomCase random = random_case(seed);
    const VerdictCase c(random);
    const TraceReader trace = c.trace();
    const Instance instance = c.instance();
    ProveOptions options;
    options.schedule_path = c.folder.path("s.kvs");
    const Proof whole = prove(trace, instance, options, {}).value();
    EXPECT_EQ(whole.bound.status, SearchStatus::kConverged);
    // At a gap of 0 a schedule that reaches the bound is near enough.
    const bool reaches = whole.planning == PlanStatus::kNearEnough;
    EXPECT_TRUE(reaches ? *whole.gap() <= 1e-12 : whole.planning == PlanStatus::kConverged);
    options.enough_gap = 1e6;
    const Proof near = prove(trace, instance, options, {}).value();
    EXPECT_EQ(near.planning, near.gap() ? PlanStatus::kNearEnough : PlanStatus::kConverged);
    options.enough_gap = 0;
    options.search.time_limit = Seconds(0);
    const Proof hasty = prove(trace, instance, options, {}).value();
    EXPECT_EQ(hasty.bound.status, SearchStatus::kTimeLimit);
    EXPECT_TRUE(hasty.planning == PlanStatus::kTimeLimit || *hasty.gap() <= 1e-12 || !hasty.gap());
    EXPECT_TRUE(hasty.limit_reached());
    Interrupt interrupt;
    interrupt.request();
    RunContext context;
    context.interrupt = &interrupt;
    const Proof stopped = prove(trace, instance, options, context).value();
    EXPECT_EQ(stopped.bound.status, SearchStatus::kInterrupted);
    EXPECT_EQ(stopped.planning, PlanStatus::kInterrupted);
    EXPECT_TRUE(stopped.limit_reached());
  }
}

TEST(Verdicts, MoreNearMemoryLowersWhatTheSamePricesProveByNoMore) {
  Sides sides;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    RandomCase random = random_case(seed);
    const VerdictCase c(random);
    const TraceReader trace = c.trace();
    const Instance instance = c.instance();
    Proof proof;
    const Result<ProvenBound> solved = solve_bound(trace, instance, {}, {});
    if (!solved) {
      ASSERT_TRUE(says(solved.error().message, "may overflow")) << solved.error().message;
      continue;
    }
    proof.bound = *solved;
    const double price = proof.bound.capacity_price_s_per_byte;
    const std::string text = cli::capacity_verdict(proof, instance);
    sides.expect(text, "lowers it by at most", price > 0);
    sides.expect(text, "does not lower it", price == 0);
    Certificate more = proof.bound.certificate;
    if (more.numbers.start == Start::kRecent) {
      continue;  // then more is near at the start, which the sentence leaves out
    }
    const std::int64_t blocks = 1 + random.below(3);
    const std::int64_t block = more.numbers.kv_block_bytes.front();
    more.numbers.capacity_bytes += blocks * block * more.numbers.batch;
    const Result<VerifiedBound> verified = verify(trace, more, {});
    ASSERT_TRUE(verified.has_value()) << verified.error().message;
    const double lowered = verified->bound.value();
    const double bound = proof.bound.verified.bound.value();
    const double most = price * static_cast<double>(blocks * block);
    EXPECT_GE(lowered, bound - most - 1e-9 * bound);
    EXPECT_TRUE(price > 0 || std::abs(lowered - bound) <= 1e-12 * bound);
    EXPECT_TRUE(says(cli::proof_verdict(proof), "bound: proven for schedules whose copies are of whole blocks"));
    EXPECT_TRUE(says(cli::proof_verdict(proof.bound.verified, more),
                     "none takes less than " + proof.bound.verified.bound_decimal));
  }
  sides.both();
}

TEST(Verdicts, WhatTheExactSolutionsAre) {
  Sides sides;
  for (const double lp : {1.0, 2.0, 3.0}) {
    for (const bool optimal : {false, true}) {
      Proof proof;
      proof.bound.verified.bound = Seconds(2);
      proof.exact.emplace();
      proof.exact->lp = Seconds(lp);
      proof.exact->milp_optimal = optimal;
      sides.expect(cli::relaxation_verdict(proof), "it cuts blocks, the bound does not", lp < 2);
      sides.expect(cli::best_schedule_verdict(*proof.exact), "of all, exact", optimal);
      sides.expect(cli::best_schedule_verdict(*proof.exact), "another may be faster", !optimal);
    }
  }
  sides.both();
}

}  // namespace
}  // namespace kvplace
