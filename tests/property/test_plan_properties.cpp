// The planner on small random instances: its schedules are legal, cost what was predicted, and are close to the optimum
// that an exact search over all placements finds.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>

#include "kvplace/simulate/schedules.h"
#include "kvplace/solve/plan.h"
#include "support/paper_machine.h"
#include "support/random_instance.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

/// Of inclusive mode and blocks of one size.
struct PlanCase : testing::RandomInstance {
  PlanCase() : PlanCase(testing::drawn_case({.steps = 60, .prompt_tokens = 60, .reads = 14, .near_blocks = 30})) {}

 private:
  explicit PlanCase(testing::RandomCase&& random) : RandomInstance(random, plan_shape(random)) {
    spec.options.mode = Mode::kInclusive;
  }
  static testing::RandomTraceShape plan_shape(testing::RandomCase& random) {
    testing::RandomTraceShape shape = random.shape();
    shape.experts = 0;
    shape.read_bytes = false;
    return shape;
  }
};

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

RC_GTEST_PROP(Plan, IsLegalCostsWhatWasPredictedAndBeatsBelady, ()) {
  const testing::TempDir folder;
  const PlanCase random;
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  const std::string path = folder.path("plan.kvs");
  const PlanSummary plan = plan_schedule(trace, instance, {}, path, {}).value();
  const ScheduleReplay replayed = replay_schedule(trace, path, instance, {}).value();
  const double total = replayed.result.total.value();
  // A split read is rounded to whole bytes, of blocks of 1000.
  RC_ASSERT(std::abs(plan.predicted.value() / total - 1) < 1e-3);
  if (instance.options().mirrored_reads == MirroredReads::kNear) {
    RC_ASSERT(std::abs(plan.predicted.value() / total - 1) < 1e-9);
  }
  RC_ASSERT(plan.complete);
  RC_ASSERT(plan.missed == replayed.result.far_reads);
  RC_ASSERT(total >= replayed.bounds.perfect_split.value() * (1 - 1e-9));
  const ReplayJob belady{&instance, {"belady-global", {}}};
  const double reference = replay(trace, std::span(&belady, 1), {}).value().front().total.value();
  RC_LOG() << "planned " << total << " belady-global " << reference;
  RC_ASSERT(total <= reference * 1.10);
}

RC_GTEST_PROP(Plan, IsTheSameForAnyNumberOfThreads, ()) {
  const testing::TempDir folder;
  const PlanCase random;
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  RunContext context;
  context.threads = 1;
  const PlanSummary one = plan_schedule(trace, instance, {}, folder.path("1.kvs"), context).value();
  context.threads = 4;
  const PlanSummary four = plan_schedule(trace, instance, {}, folder.path("4.kvs"), context).value();
  RC_ASSERT(one.predicted == four.predicted);
  RC_ASSERT(bytes_of(folder.path("1.kvs")) == bytes_of(folder.path("4.kvs")));
}

/// The least total over all placements of few blocks, one layer, barrier per layer: dynamic programming over the sets
/// of near blocks. From the rules of the formulation, "Machine", "Modes" and "A step".
double least_total(const Segment& segment, const Instance& instance) {
  const std::uint32_t blocks = instance.num_blocks();
  const Bytes size = instance.kv_block_bytes(LayerIndex(0));
  const auto fits = [&](std::uint32_t set) { return size * std::popcount(set) <= instance.capacity(); };
  const std::uint32_t sets = 1u << blocks;
  std::uint32_t exist = (1u << instance.layout().initial_blocks()) - 1;
  std::vector<double> least(sets, INFINITY);
  std::uint32_t given = 0;
  for (const BlockIndex block : instance.initial_near()) {
    given |= 1u << block.value();
  }
  for (std::uint32_t set = 0; set < sets; ++set) {
    const bool free_start = instance.options().start == Start::kFree;
    if (free_start ? (set & ~exist) == 0 && fits(set) : set == given) {
      least[set] = 0;
    }
  }
  for (std::uint32_t step = 0; step < segment.num_steps(); ++step) {
    const StepView record = segment.view(step, 0);
    std::uint32_t appended = 0;
    for (const BlockId id : record.appended) {
      appended |= 1u << id.value();
    }
    const std::uint32_t born = appended & ~exist;
    exist |= appended;
    std::uint32_t reads = 0;
    for (const BlockId id : record.reads) {
      reads |= 1u << id.value();
    }
    std::vector<double> next(sets, INFINITY);
    for (std::uint32_t from = 0; from < sets; ++from) {
      const std::uint32_t missed = reads & ~from & ~appended;
      for (std::uint32_t to = 0; least[from] < INFINITY && to < sets; ++to) {
        if ((to & ~exist) != 0 || !fits(to)) {
          continue;
        }
        const std::uint32_t entering = to & ~from & ~born;
        Loads loads;
        loads.add(Transfer::kReadNear, size * std::popcount(reads & ~missed), std::popcount(reads & ~missed));
        loads.add(Transfer::kReadFar, size * std::popcount(missed), std::popcount(missed));
        loads.add(Transfer::kPromotePassive, size * std::popcount(entering & missed), std::popcount(entering & missed));
        loads.add(Transfer::kPromote, size * std::popcount(entering & ~missed), std::popcount(entering & ~missed));
        const Bytes new_kv = instance.new_kv_bytes(LayerIndex(0)) * static_cast<std::int64_t>(record.appended.size());
        loads.add(Transfer::kWriteNear, new_kv, 1);
        loads.add(Transfer::kWriteFar, new_kv, 1);
        loads = loads * std::int64_t{instance.options().batch};
        loads += instance.fixed_loads(StepIndex(0), LayerIndex(0));
        const MovableBytes movable =
            MovableBytes{size, 1} * (std::popcount(reads & from & ~appended) * std::int64_t{instance.options().batch});
        const bool split = instance.options().mirrored_reads == MirroredReads::kSplit;
        const Seconds time =
            split ? best_split(instance.step_time(), loads, {movable, {}}).time : instance.step_time()(loads);
        next[to] = std::min(next[to], least[from] + time.value());
      }
    }
    least = std::move(next);
  }
  return *std::min_element(least.begin(), least.end());
}

TEST(Plan, LetsBlocksGoWhereNearMemoryHasMoreToDoThanFar) {
  const testing::TempDir folder;
  const testing::RandomTraceShape shape{.steps = 300, .prompt_tokens = 80, .reads = 40, .keep = 0.9};
  const TraceReader trace = TraceReader::open(testing::write_trace(folder.path("t.kvt"), testing::meta_of(shape),
                                                                   testing::random_segment(shape), 512))
                                .value();
  ASSERT_GT(trace.num_chunks(), 10U);
  for (const Barrier barrier : {Barrier::kLayer, Barrier::kToken}) {
    InstanceSpec spec;
    spec.hardware = testing::paper_machine();
    spec.hardware.near.bandwidth.spec = BytesPerSecond(1000e9);
    spec.options.barrier = barrier;
    spec.options.start = Start::kFree;
    spec.options.near_capacity = Bytes(std::int64_t{1} << 30);
    const Instance instance = Instance::make(spec, trace.meta(), trace.totals()).value();
    const PlanSummary plan = plan_schedule(trace, instance, {}, folder.path("plan.kvs"), {}).value();
    const ScheduleReplay replayed = replay_schedule(trace, folder.path("plan.kvs"), instance, {}).value();
    const double total = replayed.result.total.value();
    EXPECT_NEAR(plan.predicted.value(), total, 1e-9 * total);
    EXPECT_EQ(plan.missed, replayed.result.far_reads);
    // Keeping all near takes near / (1 - f*) of it, f* being a third.
    EXPECT_GT(replayed.bounds.all_near.value(), 1.3 * replayed.bounds.perfect_split.value());
    EXPECT_LT(total, 1.05 * replayed.bounds.perfect_split.value());
    std::printf("%.4f of the perfect split\n", total / replayed.bounds.perfect_split.value());
  }
}

TEST(Plan, IsMostlyTheOptimum) {
  // Always the same instances, so that the share cannot fail by chance.
  testing::RandomCase random(7, {.layers = 1, .steps = 15, .prompt_tokens = 3, .reads = 4, .near_blocks = 5});
  int tried = 0;
  int optimal = 0;
  while (tried < 300) {
    const testing::RandomTraceShape shape = random.plain_shape();
    testing::RandomInstance c(random, shape);
    c.spec.options.mode = Mode::kInclusive;
    c.spec.options.barrier = Barrier::kLayer;
    const TraceReader trace = c.trace();
    const Instance instance = c.instance();
    if (instance.num_blocks() > 7) {
      continue;
    }
    ++tried;
    const double planned = plan_schedule(trace, instance, {}, c.folder.path("plan.kvs"), {}).value().predicted.value();
    const double optimum = least_total(testing::random_segment(shape), instance);
    EXPECT_GE(planned, optimum * (1 - 1e-9));
    EXPECT_LE(planned, optimum * 1.5);
    optimal += planned <= optimum * (1 + 1e-6) ? 1 : 0;
  }
  std::printf("%d of %d planned at the optimum\n", optimal, tried);
  EXPECT_GE(optimal, tried * 9 / 10);
}

}  // namespace
}  // namespace kvplace
