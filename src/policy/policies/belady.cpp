/// belady:
///
///     known: when each block is read next
///     a written or missed block enters, soonest next read first, if there is room in its layer's budget
///         or blocks read later than it, farthest first, make room;  else it is bypassed
#include "kvplace/policy/registry.h"
#include "policy/support/belady_policy.h"

namespace kvplace {

void register_policy_belady(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "belady";
  info.doc = "next reads known, per layer; the resident read farthest in the future leaves";
  info.source = "Belady 1966, with bypass";
  info.information = Information::kOracle;
  info.buffer_per_layer = true;
  info.make = [](const Parameters&) -> AnyPolicy {
    return std::unique_ptr<OraclePolicy>(std::make_unique<BeladyPolicy>(Pooling::kPerLayer, Balance::kIgnore));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
