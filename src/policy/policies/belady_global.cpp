/// belady-global:
///
///     as belady, with one budget for all layers;  next reads in order of (decode step, layer)
///     with blocks of one token no policy reads less from far
#include "kvplace/policy/registry.h"
#include "policy/support/belady_policy.h"

namespace kvplace {

void register_policy_belady_global(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "belady-global";
  info.doc = "next reads known, over all layers; the fewest far reads without bringing blocks in ahead";
  info.source = "Belady 1966, with bypass";
  info.information = Information::kOracle;
  info.make = [](const Parameters&) -> AnyPolicy {
    return std::unique_ptr<OraclePolicy>(std::make_unique<BeladyPolicy>(Pooling::kAllLayers, Balance::kIgnore));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
