// Bounds hold whatever an engine costs beside bytes, and count of it what they say.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "kvplace/simulate/compare.h"
#include "kvplace/solve/bound.h"
#include "support/random_instance.h"

namespace kvplace {
namespace {

using testing::CaseLimits;
using testing::drawn;
using testing::RandomInstance;

constexpr double kCostRounding = 1e-9;

double drawn_share() { return drawn(rc::gen::element(1.0, 0.85, 0.5, 0.1)); }
Seconds drawn_time() { return Seconds(drawn(rc::gen::element(0.0, 1e-7, 1e-6, 1e-3))); }

RC_GTEST_PROP(EngineCosts, NoPolicyIsFasterThanTheBounds, ()) {
  RandomInstance random(CaseLimits{3, 8, 8, 5, 4});
  Engine& engine = random.spec.engine;
  engine.weights_efficiency = drawn_share();
  engine.kv_efficiency = drawn_share();
  engine.layer_overhead = drawn_time();
  engine.step_overhead = drawn_time();
  engine.tiered_overhead = drawn_time();
  engine.far_computes = drawn(rc::gen::arbitrary<bool>());
  engine.far_efficiency = drawn_share();
  random.spec.hardware.far.latency = drawn_time();
  random.spec.options.weight_bytes_per_step = Bytes(drawn(rc::gen::element(0, 1000, 100'000)));
  random.spec.options.weights_near = drawn(rc::gen::element(1.0, 0.5));
  if (drawn(rc::gen::arbitrary<bool>())) {
    random.spec.hardware.far.link_read_by_size = parse_link_by_size("500B=100MB/s, 64KiB=10GB/s").value();
  }
  const TraceReader trace = random.trace();
  double proven[2] = {};
  for (const BoundCosts costs : {BoundCosts::kPeak, BoundCosts::kEngine}) {
    random.spec.options.bound_costs = costs;
    const Instance instance = random.instance();
    const Result<Comparison> comparison = compare(trace, instance, default_policies(instance), {});
    RC_ASSERT(comparison.has_value());
    const Result<ProvenBounds> bounds = solve_bounds(trace, instance.for_bounds(), {}, {});
    RC_ASSERT(bounds.has_value());
    proven[costs == BoundCosts::kEngine] = bounds->step.verified.bound.value();
    for (const ReplayResult& result : comparison->results) {
      if (result.information != Information::kIdeal) {
        RC_ASSERT(bounds->step.verified.bound.value() <= result.total.value() * (1 + kCostRounding));
        RC_ASSERT(comparison->bounds.perfect_split.value() <= result.total.value() * (1 + kCostRounding));
      }
    }
  }
  RC_ASSERT(proven[0] <= proven[1] * (1 + 1e-3));  // found by search, each on its own
  RC_CLASSIFY(proven[0] < proven[1] * 0.99, "the engine's costs count");
}

}  // namespace
}  // namespace kvplace
