// The best split against a fine grid, and what must hold between bounds, machines and placements.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "kvplace/simulate/compare.h"
#include "support/paper_machine.h"
#include "support/random_instance.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

RC_GTEST_PROP(BestSplit, IsTheMinimumOverAGrid, ()) {
  const Hardware hardware = testing::drawn_case({.wide = true}).machine();
  const Overlap overlap = *rc::gen::element(Overlap::kFull, Overlap::kNone);
  const StepTime step_time(hardware, overlap, Seconds(0), Seconds(0));
  const std::int64_t reads = *rc::gen::inRange(0, 1000) * std::int64_t{1000};
  const std::int64_t writes = *rc::gen::element(0, 1) * *rc::gen::inRange(0, 100) * std::int64_t{1000};
  Loads all_near;
  all_near.add(Transfer::kReadNear, Bytes(reads + writes + *rc::gen::inRange(0, 1000000)), 1);
  all_near.add(Transfer::kWriteFar, Bytes(*rc::gen::inRange(0, 100000)), 1);
  all_near.add(Transfer::kReadFar, Bytes(*rc::gen::inRange(0, 100000)), 1);
  const Split split = best_split(step_time, all_near, {{Bytes(reads), 1}, {Bytes(writes), 1}});

  const auto time_at = [&](double x, double z) {
    std::array<double, kNumChannels> times{};
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      const auto channel = static_cast<Channel>(c);
      const double moved = channel == Channel::kNearMem        ? -x - z
                           : channel == Channel::kFarLinkRead  ? x
                           : channel == Channel::kFarLinkWrite ? z
                                                               : x + z;
      times[c] = (static_cast<double>(all_near.bytes[c]) + moved) / step_time.bandwidth(channel).value();
    }
    return step_time.time_of(times).value();
  };
  constexpr int kGrid = 60;
  double least = time_at(0, 0);
  for (int i = 0; i <= kGrid; ++i) {
    for (int j = 0; j <= kGrid; ++j) {
      least = std::min(least, time_at(static_cast<double>(reads) * i / kGrid, static_cast<double>(writes) * j / kGrid));
    }
  }
  const double found = split.time.value();
  RC_ASSERT(found <= least * (1 + 1e-9));
  RC_ASSERT(std::abs(time_at(split.far_read_bytes, split.far_write_bytes) - found) <= found * 1e-9);
}

testing::RandomCase some_case() {
  return testing::drawn_case({.steps = 30, .prompt_tokens = 50, .reads = 12, .near_blocks = 90, .unlike = true});
}

struct BoundsCase : testing::RandomInstance {
  BoundsCase() : BoundsCase(some_case()) {}
  explicit BoundsCase(testing::RandomCase&& random) : BoundsCase(random, random.shape()) {}
  BoundsCase(testing::RandomCase& random, const testing::RandomTraceShape& the_shape)
      : RandomInstance(random, the_shape) {
    if (spec.options.start == Start::kFree) {
      spec.options.start = Start::kEmpty;  // for policies that are no oracles, too
    }
  }

  Comparison run() const {
    const Instance resolved = instance();
    return compare(trace(), resolved, default_policies(resolved), {}).value();
  }
};

RC_GTEST_PROP(Bounds, NoPlacementBeatsThePerfectSplit, ()) {
  const BoundsCase c;
  const Comparison comparison = c.run();
  for (const ReplayResult& result : comparison.results) {
    RC_LOG() << result.policy.text();
    // The ideal's share counts weights as movable, so only placements are bounded.
    RC_ASSERT(result.information == Information::kIdeal ||
              result.total.value() >= comparison.bounds.perfect_split.value() * (1 - 1e-9));
  }
  RC_ASSERT(comparison.bounds.all_near.value() >= comparison.bounds.perfect_split.value() * (1 - 1e-9));
}

RC_GTEST_PROP(Bounds, MoreBandwidthNeverRaisesABound, ()) {
  BoundsCase c;
  const Bounds before = c.run().bounds;
  Hardware& hardware = c.spec.hardware;
  Rate* const rates[] = {&hardware.near.bandwidth, &hardware.far.bandwidth, &hardware.far.link_read,
                         &hardware.far.link_write};
  Rate* const raised = rates[*rc::gen::inRange(0, 4)];
  raised->spec = raised->spec * 1.5;
  const Bounds after = c.run().bounds;
  RC_ASSERT(after.perfect_split.value() <= before.perfect_split.value() * (1 + 1e-9));
  RC_ASSERT(after.all_near.value() <= before.all_near.value() * (1 + 1e-9));
}

// With tokens as blocks Belady with bypass is an optimal interval packing, so more places never cost a far read. (A
// page of several tokens is read near by rule whenever it is appended to, which the packing does not know.) Its time is
// no theorem: fewer far reads can mean more promotions.
RC_GTEST_PROP(Belady, MoreCapacityNeverCostsAFarRead, ()) {
  testing::RandomCase random = some_case();
  testing::RandomTraceShape shape = random.plain_shape();
  shape.block_tokens = 1;
  shape.tokens = 1;
  BoundsCase c(random, shape);
  c.spec.options.start = Start::kEmpty;
  c.spec.model->groups.clear();  // fewest misses are not what Belady has where blocks differ in size
  const auto far_reads = [&c](const std::string& policy) {
    const Comparison comparison = c.run();
    return std::find_if(comparison.results.begin(), comparison.results.end(),
                        [&](const ReplayResult& r) { return r.policy.name == policy; })
        ->far_reads;
  };
  const std::uint64_t before = far_reads("belady-global");
  const std::uint64_t before_per_layer = far_reads("belady");
  const Instance instance = c.instance();
  c.spec.options.near_capacity = *c.spec.options.near_capacity + instance.kv_block_bytes(LayerIndex(0)) *
                                                                     std::int64_t{instance.layers()} *
                                                                     instance.options().batch;
  RC_ASSERT(far_reads("belady-global") <= before);
  RC_ASSERT(far_reads("belady") <= before_per_layer);
  RC_ASSERT(far_reads("belady-global") <= far_reads("belady"));
}

// With given decisions more bandwidth only shortens each step, so a policy that does not look at times never gets
// slower.
RC_GTEST_PROP(Policies, MoreBandwidthNeverSlowsABlindPolicy, ()) {
  BoundsCase c;
  const Comparison before = c.run();
  c.spec.hardware.far.link_read.spec = c.spec.hardware.far.link_read.spec * 2;
  const Comparison after = c.run();
  for (std::size_t i = 0; i < before.results.size(); ++i) {
    const std::string& name = before.results[i].policy.name;
    if (name != "belady-balanced" && name != "best-case" && name != "kvplace") {
      RC_LOG() << name;
      RC_ASSERT(after.results[i].total.value() <= before.results[i].total.value() * (1 + 1e-9));
    }
  }
}

}  // namespace
}  // namespace kvplace
