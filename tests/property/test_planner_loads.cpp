// Planners and replay charge the same transfers for the same schedule: bytes and counts, channel by channel.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "kvplace/simulate/schedules.h"
#include "kvplace/solve/plan.h"
#include "solve/gap_plan/arrivals.h"
#include "solve/gap_plan/greedy.h"
#include "solve/gap_plan/write.h"
#include "solve/path_plan/path_search.h"
#include "support/random_instance.h"

namespace kvplace {
namespace {

using testing::CaseLimits;
using testing::drawn;
using testing::RandomInstance;

Loads replayed(const TraceReader& trace, const Instance& instance, const std::string& schedule) {
  const ReplayResult result = replay_schedule(trace, schedule, instance, {}).value().result;
  return {result.channel_bytes, result.channel_transfers};
}

/// What a group is charged, its mirrored reads split if they are.
Loads charged(const Instance& instance, const Loads& loads, const MovableBytes& mirrored) {
  return instance.options().mirrored_reads == MirroredReads::kSplit
             ? split_loads(instance.step_time(), loads, mirrored, instance.groups().layers_per_group())
             : loads;
}

RC_GTEST_PROP(PlannerLoads, OfPathsAreThoseOfTheReplay, ()) {
  RandomInstance random(CaseLimits{3, 20, 12, 6, 5});
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  const testing::TempDir folder;
  const std::string schedule = folder.path("s.kvs");
  const bool oracle = instance.options().start == Start::kFree || drawn(rc::gen::arbitrary<bool>());
  const PolicySpec policy = PolicyRegistry::instance().parse(oracle ? "belady-global" : "lru").value();
  RC_ASSERT(record_schedule(trace, instance, policy, schedule, {}).has_value());

  const PlanUses uses = PlanUses::make(trace, instance, kMostPolishedReads, {}).value();
  const PlanPaths paths = read_paths(schedule, instance).value();
  const PlanLoads loads(instance, uses);
  const RoomTree rows(std::span<const std::int64_t>(), 0);
  const PathSearch search(instance, uses, loads, rows);
  std::vector<GroupLoad> groups = uses.fixed();
  std::vector<GroupShare> shares;
  for (std::uint32_t block = 0; block < instance.num_blocks(); ++block) {
    search.shares(block, paths.by_block[block], shares);
    for (const GroupShare& share : shares) {
      groups[share.group] += share.load;
    }
  }
  Loads sum;
  for (const GroupLoad& group : groups) {
    sum += charged(instance, group.loads, group.mirrored);
  }
  RC_ASSERT(sum == replayed(trace, instance, schedule));
}

RC_GTEST_PROP(PlannerLoads, OfGapsAreThoseOfTheReplay, ()) {
  RandomInstance random(CaseLimits{3, 20, 12, 6, 5});
  random.spec.options.mode = Mode::kInclusive;
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  RC_PRE(instance.uniform());
  const testing::TempDir folder;
  const std::string schedule = folder.path("s.kvs");
  const std::int64_t block = instance.kv_block_bytes(LayerIndex(0)).value();
  const PlanCost cost = PlanCost::make(trace, instance, {}).value();
  const std::vector<GapClass> gaps =
      list_gaps(build_gap_classes(trace, instance, [] { return false; }, {}).value(), static_cast<double>(block));
  auto arrivals = greedy_arrivals(gaps, cost, instance.capacity().value() / block,
                                  instance.options().start == Start::kFree, [] { return false; });
  const PlanDraft draft = draft_arrivals(trace, instance, cost, std::move(arrivals).value(), {}).value();
  RC_ASSERT(write_plan(trace, instance, draft, schedule, {}).has_value());
  Loads sum;
  for (std::uint32_t group = 0; group < cost.num_groups(); ++group) {
    sum += charged(instance, cost.loads(group, draft.counts[group]), cost.mirrored(group, draft.counts[group]));
  }
  RC_ASSERT(sum == replayed(trace, instance, schedule));
}

}  // namespace
}  // namespace kvplace
