/// belady-balanced:
///
///     as belady-global, but a missed block is not promoted where
///     near.mem's time with it would pass that of the slowest far channel in this step
#include "kvplace/policy/registry.h"
#include "policy/support/belady_policy.h"

namespace kvplace {

void register_policy_belady_balanced(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "belady-balanced";
  info.doc = "belady-global that stops promoting where near memory would become slower than the far side";
  info.source = "formulation, \"Policies\"";
  info.information = Information::kOracle;
  info.uses_times = true;
  info.make = [](const Parameters&) -> AnyPolicy {
    return std::unique_ptr<OraclePolicy>(std::make_unique<BeladyPolicy>(Pooling::kAllLayers, Balance::kKeep));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
