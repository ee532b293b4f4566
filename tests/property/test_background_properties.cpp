// Copies in the background: the bytes that move in a step against all numbers of bytes, and what holds of every policy.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "kvplace/instance/background.h"
#include "kvplace/simulate/compare.h"
#include "kvplace/simulate/schedules.h"
#include "kvplace/solve/bound.h"
#include "support/random_instance.h"

namespace kvplace {
namespace {

/// Loads of a few bytes, so that all numbers of copied bytes can be tried.
struct SmallStep {
  SmallStep() {
    testing::RandomCase random = testing::drawn_case({.wide = true});
    hardware = random.machine();
    hardware.step_overhead = Seconds(0);
    if (random.chance(0.2)) {  // a link that outruns near memory
      std::swap(hardware.near.bandwidth.spec, hardware.far.link_read.spec);
    }
    overlap = random.one_of({Overlap::kFull, Overlap::kNone});
    floor = random.chance(0.3) ? 1e-9 * random.below(200) : 0;
    for (std::int64_t& bytes : demand.bytes) {
      bytes = random.one_of({0U, random.below(50), random.below(1000)});
    }
    queued = random.below(400);
  }

  [[nodiscard]] double rate(Channel channel) const { return time().bandwidth(channel).value(); }
  [[nodiscard]] StepTime time() const { return {hardware, overlap, Seconds(floor), Seconds(0)}; }
  [[nodiscard]] double demand_time(Channel channel) const {
    return static_cast<double>(demand.on(channel)) / rate(channel);
  }
  /// T_x of the formulation.
  [[nodiscard]] double step_with(std::int64_t copied) const {
    const double near = static_cast<double>(demand.on(Channel::kNearMem) + copied) / rate(Channel::kNearMem);
    if (overlap == Overlap::kNone) {
      return near;
    }
    return std::max({near, floor, demand_time(Channel::kFarLinkRead), demand_time(Channel::kFarLinkWrite),
                     demand_time(Channel::kFarMem)});
  }
  /// Whether link and far memory carry so much beside demand, with times that differ by rounding taken for equal.
  [[nodiscard]] bool fits(std::int64_t copied) const {
    const auto carries = [&](Channel channel) {
      const double busy = overlap == Overlap::kFull ? demand_time(channel) : 0;
      return busy + static_cast<double>(copied) / rate(channel) <= step_with(copied) * (1 + 1e-11);
    };
    return carries(Channel::kFarLinkRead) && carries(Channel::kFarMem);
  }

  Hardware hardware;
  Overlap overlap = Overlap::kFull;
  double floor = 0;
  Loads demand;
  std::int64_t queued = 0;
};

RC_GTEST_PROP(Background, MovesTheMostBytesThatFit, ()) {
  const SmallStep s;
  std::int64_t most = s.queued;
  while (!s.fits(most)) {
    --most;
  }
  const BackgroundStep step = background_step(s.time(), s.demand, Bytes(s.queued));
  RC_ASSERT(step.copied == Bytes(most));
}

RC_GTEST_PROP(Background, TheLinkMakesNoStepLonger, ()) {
  SmallStep s;
  s.hardware.interference = 0;
  const BackgroundStep step = background_step(s.time(), s.demand, Bytes(s.queued));
  const double alone = s.time()(s.demand).value();
  double near_alone = s.step_with(step.copied.value());  // as if the copies came from nowhere
  if (s.overlap == Overlap::kNone) {
    near_alone += std::max(
        {s.demand_time(Channel::kFarLinkRead), s.demand_time(Channel::kFarLinkWrite), s.demand_time(Channel::kFarMem)});
  }
  const double expected = std::max(near_alone, s.floor);
  const double taken = s.time()(step.charged).value();
  RC_ASSERT(taken >= alone * (1 - 1e-12));
  RC_ASSERT(std::abs(taken - expected) <= expected * 1e-11);
}

struct BackgroundCase : testing::RandomInstance {
  explicit BackgroundCase(const testing::CaseLimits& most) : testing::RandomInstance(most) {
    spec.options.copies = Copies::kBackground;
    if (spec.options.start == Start::kFree) {
      spec.options.start = Start::kEmpty;
    }
  }
};

std::vector<PolicySpec> policies_without_searches() {
  std::vector<PolicySpec> policies;
  for (const PolicyInfo& info : PolicyRegistry::instance().policies()) {
    if (info.runs_in_common_pass() && !info.requires_ranking && info.information != Information::kIdeal) {
      policies.push_back(PolicyRegistry::instance().parse(info.name).value());
    }
  }
  return policies;
}

RC_GTEST_PROP(Background, MovesNoMoreThanIsIssuedAndHoldsTheCapacity, ()) {
  BackgroundCase c({.steps = 40, .prompt_tokens = 60, .reads = 14, .near_blocks = 60});
  c.spec.options.mirrored_reads = MirroredReads::kNear;
  c.spec.options.weights_near = 1;
  const TraceReader trace = c.trace();
  const Instance instance = c.instance();
  RC_PRE(instance.uniform());
  const std::int64_t block = instance.kv_block_bytes(LayerIndex(0)).value();
  const std::int64_t batch = instance.options().batch;
  const Comparison compared = compare(trace, instance, policies_without_searches(), {}).value();
  for (const ReplayResult& r : compared.results) {
    RC_LOG() << r.policy.text();
    const std::int64_t copied =
        r.channel_bytes[at(Channel::kFarLinkRead)] - static_cast<std::int64_t>(r.far_reads) * block * batch;
    RC_ASSERT(copied >= 0);
    RC_ASSERT(copied <= static_cast<std::int64_t>(r.promotions) * block * batch);
    RC_ASSERT(static_cast<std::int64_t>(r.peak_near_blocks) * block <= instance.capacity().value());
    RC_ASSERT(r.total >= compared.bounds.perfect_split * (1 - 1e-9));
  }
}

/// The replay of what a policy decided is its run again, and under the other rule it is refused.
RC_GTEST_PROP(Background, AStoredScheduleCostsWhatThePolicyDid, ()) {
  const BackgroundCase c({.steps = 20, .prompt_tokens = 30, .reads = 10, .near_blocks = 30});
  const TraceReader trace = c.trace();
  const Instance instance = c.instance();
  const std::string path = c.folder.path("s.kvs");
  for (const std::string text :
       {"lru", "layer-prefetch", "look-ahead:w=3", "kvplace", "belady-global", "belady-prefetch", "page"}) {
    RC_LOG() << text;
    const PolicySpec policy = PolicyRegistry::instance().parse(text).value();
    const ReplayResult ran = record_schedule(trace, instance, policy, path, {}).value();
    const ReplayResult again = replay_schedule(trace, path, instance, {}).value().result;
    RC_ASSERT(again.total == ran.total);
    RC_ASSERT(again.far_reads == ran.far_reads);
    RC_ASSERT(again.channel_bytes == ran.channel_bytes);
    const auto other = replay_schedule(trace, path, instance.with_copies(Copies::kStep), {});
    RC_ASSERT(!other && other.error().message.find("give --copies background") != std::string::npos);
  }
}

RC_GTEST_PROP(Background, NoPolicyIsFasterThanTheClaimAny, ()) {
  BackgroundCase c({.layers = 2, .steps = 12, .prompt_tokens = 8, .reads = 5, .near_blocks = 8});
  c.spec.options.overlap = Overlap::kFull;
  const TraceReader trace = c.trace();
  const Instance instance = c.instance();
  BoundOptions options;
  options.claim = Claim::kAny;
  const Seconds bound = solve_bound(trace, instance, options, {}).value().verified.bound;
  const Comparison compared = compare(trace, instance, policies_without_searches(), {}).value();
  for (const ReplayResult& r : compared.results) {
    RC_LOG() << r.policy.text();
    RC_ASSERT(bound <= r.total * (1 + 1e-9));
  }
}

RC_GTEST_PROP(Background, ThePlanIsNoSlowerThanWhatKnowsNextReads, ()) {
  const BackgroundCase c({.layers = 2, .steps = 12, .prompt_tokens = 8, .reads = 5, .near_blocks = 8});
  std::vector<PolicySpec> policies;
  for (const std::string text :
       {"planned:seconds=5", "belady-prefetch", "belady-prefetch:queue=1,lead=0", "belady-global"}) {
    policies.push_back(PolicyRegistry::instance().parse(text).value());
  }
  const Comparison compared = compare(c.trace(), c.instance(), policies, {}).value();
  const ReplayResult& planned = compared.results.front();
  for (const ReplayResult& r : compared.results) {
    RC_LOG() << r.policy.text();
    RC_ASSERT(planned.total <= r.total * (1 + 1e-12));
  }
}

}  // namespace
}  // namespace kvplace
