/// kvplace-budgets:
///
///     as kvplace-reads, in a fixed buffer per layer, and without looking at what steps wait for
#include "kvplace/policy/registry.h"
#include "policy/support/value_policy.h"

namespace kvplace {

void register_policy_kvplace_budgets(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "kvplace-budgets";
  info.doc = "kvplace-reads with a fixed buffer per layer (--layer-budgets), as engines have them today";
  info.source = "kvplace: docs/flagship.md";
  info.information = Information::kCausal;
  info.by_default = false;
  info.buffer_per_layer = true;
  info.uses_times = true;
  info.make = [](const Parameters&) -> AnyPolicy {
    ValueOptions options;
    options.scored_by = ScoredBy::kReads;
    options.shared = false;
    options.balance = false;
    return std::unique_ptr<CausalPolicy>(std::make_unique<CausalValuePolicy>(options));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
