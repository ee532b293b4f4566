// The exact solutions against all schedules, each replayed, and against every policy.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "kvplace/bound/elementary.h"
#include "kvplace/simulate/compare.h"
#include "kvplace/solve/exact.h"
#include "support/random_instance.h"

namespace kvplace {
namespace {

using Placement = std::vector<BlockIndex>;

/// Replays given placements: at the start and after each step, each ascending.
class PlacementSource final : public DecisionSource {
 public:
  explicit PlacementSource(std::vector<const Placement*> placements) : placements_(std::move(placements)) {}

  Result<Placement> initial_near() override { return *placements_.front(); }
  Status next(StepIndex, LayerIndex, Decision& decision) override {
    const Placement& before = *placements_[step_];
    const Placement& after = *placements_[step_ + 1];
    ++step_;
    std::set_difference(before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(decision.evict));
    std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(decision.promote));
    return {};
  }

 private:
  std::vector<const Placement*> placements_;
  std::size_t step_ = 0;
};

/// By moment (the start, then after each step) all placements that fit.
std::vector<std::vector<Placement>> all_placements(const Segment& records, const Instance& instance) {
  Placement existing;
  for (std::uint32_t layer = 0; layer < instance.layers(); ++layer) {
    for (std::uint32_t id = 0; id < instance.layout().initial_blocks(); ++id) {
      existing.push_back(instance.index(LayerIndex(layer), BlockId(id)));
    }
  }
  const auto that_fit = [&] {
    std::vector<Placement> all;
    for (std::uint32_t subset = 0; subset < 1u << existing.size(); ++subset) {
      Placement near;
      Bytes size;
      for (std::size_t i = 0; i < existing.size(); ++i) {
        if ((subset >> i & 1u) != 0) {
          near.push_back(existing[i]);
          size += instance.block_bytes(existing[i]);
        }
      }
      if (size <= instance.capacity()) {
        std::sort(near.begin(), near.end());
        all.push_back(std::move(near));
      }
    }
    return all;
  };
  std::vector<std::vector<Placement>> moments;
  if (instance.options().start == Start::kFree) {
    moments.push_back(that_fit());
  } else {
    Placement given = instance.initial_near();
    std::sort(given.begin(), given.end());
    moments.push_back({given});
  }
  for (std::uint32_t step = 0; step < instance.steps(); ++step) {
    for (std::uint32_t layer = 0; layer < instance.layers(); ++layer) {
      const StepView view = records.view(step, layer);
      for (const BlockId id : view.appended) {
        const BlockIndex block = instance.index(view.layer, id);
        if (std::find(existing.begin(), existing.end(), block) == existing.end()) {
          existing.push_back(block);
        }
      }
      moments.push_back(that_fit());
    }
  }
  return moments;
}

double num_schedules(const std::vector<std::vector<Placement>>& moments) {
  double product = 1;
  for (const std::vector<Placement>& moment : moments) {
    product *= static_cast<double>(moment.size());
  }
  return product;
}

std::vector<Seconds> replayed(const TraceReader& trace, const Instance& instance,
                              std::vector<PlacementSource>& schedules) {
  std::vector<ReplayJob> jobs;
  for (PlacementSource& schedule : schedules) {
    ReplayJob job;
    job.instance = &instance;
    job.schedule = &schedule;
    jobs.push_back(job);
  }
  RunContext context;
  context.threads = 1;
  std::vector<Seconds> times;
  const std::vector<ReplayResult> results = replay(trace, jobs, context).value();
  for (const ReplayResult& result : results) {
    times.push_back(result.total);
  }
  return times;
}

Seconds best_of_all(const TraceReader& trace, const Instance& instance,
                    const std::vector<std::vector<Placement>>& moments) {
  std::vector<PlacementSource> schedules;
  std::vector<std::size_t> choice(moments.size(), 0);
  for (bool more = true; more;) {
    std::vector<const Placement*> placements;
    for (std::size_t i = 0; i < moments.size(); ++i) {
      placements.push_back(&moments[i][choice[i]]);
    }
    schedules.emplace_back(std::move(placements));
    more = false;
    for (std::size_t i = 0; i < moments.size() && !more; ++i) {
      choice[i] = (choice[i] + 1) % moments[i].size();
      more = choice[i] != 0;
    }
  }
  const std::vector<Seconds> times = replayed(trace, instance, schedules);
  return *std::min_element(times.begin(), times.end());
}

/// A replay splits mirrored reads in whole bytes: so much may it lose in all groups.
double split_rounding(const Instance& instance) {
  if (instance.options().mirrored_reads == MirroredReads::kNear) {
    return 0;
  }
  double byte = 0;
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    byte += 1 / instance.step_time().bandwidth(static_cast<Channel>(c)).value();
  }
  return byte * instance.steps() * instance.layers();
}

ExactSolution solved(const TraceReader& trace, const Instance& instance) {
  ExactOptions options;
  options.milp = true;
  options.time_limit = Seconds(250);
  const ExactSolution exact = solve_exact(trace, instance, options, {}).value();
  RC_ASSERT(exact.lp_optimal && exact.milp_optimal && exact.milp.has_value());
  return exact;
}

Seconds perfect_split(const TraceReader& trace, const Instance& instance) {
  ElementaryBounds bounds(instance);
  const Segment records = testing::all_records(trace);
  for (std::uint32_t step = 0; step < records.num_steps(); ++step) {
    for (std::uint32_t layer = 0; layer < records.layers(); ++layer) {
      bounds.add(records.view(step, layer));
    }
  }
  return bounds.perfect_split();
}

RC_GTEST_PROP(Exact, TheMilpIsTheBestOfAllSchedules, ()) {
  constexpr double kMostSchedules = 3000;
  const bool two_layers = testing::drawn(rc::gen::arbitrary<bool>());
  testing::RandomInstance random(two_layers ? testing::CaseLimits{2, 2, 2, 3, 3, false, true}
                                            : testing::CaseLimits{1, 4, 3, 3, 4, false, true});
  const TraceReader trace = random.trace();
  const Segment records = testing::all_records(trace);
  std::vector<std::vector<Placement>> moments = all_placements(records, random.instance());
  while (num_schedules(moments) > kMostSchedules) {
    // A capacity of nothing leaves one schedule.
    const Bytes less = *random.spec.options.near_capacity - Bytes(400);
    random.spec.options.near_capacity = std::max(Bytes(0), less);
    moments = all_placements(records, random.instance());
  }
  const Instance instance = random.instance();
  const ExactSolution exact = solved(trace, instance);
  const double milp = exact.milp->value();
  const double best = best_of_all(trace, instance, moments).value();
  RC_LOG() << num_schedules(moments) << " schedules, lp " << exact.lp.value() << ", milp " << milp << ", best " << best;
  RC_CLASSIFY(num_schedules(moments) > 1, "several schedules");
  RC_CLASSIFY(num_schedules(moments) > 1 && milp > exact.lp.value() * (1 + 1e-6), "relaxation below");
  RC_ASSERT(milp <= best * (1 + 1e-9));
  RC_ASSERT(milp >= best * (1 - 1e-9) - split_rounding(instance));
  RC_ASSERT(exact.lp.value() <= milp * (1 + 1e-8));
}

RC_GTEST_PROP(Exact, LiesBetweenThePerfectSplitAndEveryPolicy, ()) {
  testing::RandomInstance random({2, 4, 5, 4, 5, false, true});
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  const ExactSolution exact = solved(trace, instance);
  const double milp = exact.milp->value();
  RC_ASSERT(exact.lp.value() >= perfect_split(trace, instance).value() * (1 - 1e-8));
  RC_ASSERT(exact.lp.value() <= milp * (1 + 1e-8));

  std::vector<const Placement*> placements;
  for (const Placement& near : exact.schedule) {
    placements.push_back(&near);
  }
  std::vector<PlacementSource> schedule{PlacementSource(placements)};
  const double as_replayed = replayed(trace, instance, schedule).front().value();
  RC_ASSERT(as_replayed >= milp * (1 - 1e-12));
  RC_ASSERT(as_replayed <= milp * (1 + 1e-12) + split_rounding(instance));

  for (const PolicyInfo& info : PolicyRegistry::instance().policies()) {
    const bool needs_given_start = info.information != Information::kOracle;
    if (info.information == Information::kIdeal || info.search != nullptr || info.requires_ranking ||
        (needs_given_start && instance.options().start == Start::kFree)) {
      continue;
    }
    RC_LOG() << info.name;
    const ReplayJob job{&instance, PolicyRegistry::instance().parse(info.name).value()};
    const Seconds time = replay(trace, std::span(&job, 1), {}).value().front().total;
    RC_ASSERT(time.value() >= milp * (1 - 1e-9));
  }
}

RC_GTEST_PROP(Exact, MoreCapacityOrBandwidthNeverCostsTime, ()) {
  testing::RandomInstance random({2, 6, 8, 4, 8, false, true});
  const TraceReader trace = random.trace();
  // With another capacity a recent start would be another placement.
  random.spec.options.start = testing::drawn(rc::gen::element(Start::kEmpty, Start::kFree));
  const Seconds before = solve_exact(trace, random.instance(), {}, {}).value().lp;
  Hardware& hardware = random.spec.hardware;
  Rate* const rates[] = {&hardware.near.bandwidth, &hardware.far.bandwidth, &hardware.far.link_read,
                         &hardware.far.link_write};
  const int raised = testing::drawn(rc::gen::inRange(0, 5));
  if (raised < 4) {
    rates[raised]->spec = rates[raised]->spec * 1.3;
  } else {
    random.spec.options.near_capacity = *random.spec.options.near_capacity * std::int64_t{2};
  }
  RC_ASSERT(solve_exact(trace, random.instance(), {}, {}).value().lp.value() <= before.value() * (1 + 1e-8));
}

TEST(Exact, RefusesALargeModelWithAClearSentence) {
  const testing::TempDir folder;
  testing::RandomTraceShape shape;
  const TraceReader trace = TraceReader::open(testing::write_random_trace(folder.path("t.kvt"), shape)).value();
  InstanceSpec spec;
  spec.hardware = testing::paper_machine();
  spec.options.near_blocks_per_layer = 5;
  const Instance instance = Instance::make(spec, trace.meta(), trace.totals()).value();
  const ExactSolution exact = solve_exact(trace, instance, {}, {}).value();
  ExactOptions options;
  options.most_variables = exact.variables;
  ASSERT_TRUE(solve_exact(trace, instance, options, {}).has_value());
  for (const std::size_t most : {exact.variables - 1, std::size_t{100}, std::size_t{0}}) {
    options.most_variables = most;
    const Result<ExactSolution> refused = solve_exact(trace, instance, options, {});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().kind, ErrorKind::kBadInput);
    EXPECT_NE(refused.error().message.find("3 layers x 60 blocks x 20 decode steps has more than " +
                                           std::to_string(most) + " variables"),
              std::string::npos)
        << refused.error().message;
  }
}

TEST(Exact, StopsAtALimitWithoutClaimingAnything) {
  const testing::TempDir folder;
  const TraceReader trace = TraceReader::open(testing::write_random_trace(folder.path("t.kvt"), {})).value();
  InstanceSpec spec;
  spec.hardware = testing::paper_machine();
  spec.options.near_blocks_per_layer = 5;
  const Instance instance = Instance::make(spec, trace.meta(), trace.totals()).value();
  ExactOptions options;
  options.milp = true;
  Interrupt interrupt;
  interrupt.request();
  RunContext context;
  context.interrupt = &interrupt;
  const ExactSolution stopped = solve_exact(trace, instance, options, context).value();
  options.time_limit = Seconds(0);
  const ExactSolution no_time = solve_exact(trace, instance, options, {}).value();
  for (const ExactSolution& exact : {stopped, no_time}) {
    EXPECT_FALSE(exact.lp_optimal || exact.milp_optimal || exact.milp.has_value());
    EXPECT_EQ(exact.lp, Seconds(0));
    EXPECT_TRUE(exact.channel_prices.empty() && exact.row_prices.empty() && exact.schedule.empty());
  }
}

}  // namespace
}  // namespace kvplace
