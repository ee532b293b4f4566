/// kvplace-reads:
///
///     as kvplace, from what was read alone: no ranks of blocks that were not read
#include "kvplace/policy/registry.h"
#include "policy/support/value_policy.h"

namespace kvplace {

void register_policy_kvplace_reads(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "kvplace-reads";
  info.doc = "kvplace for engines that know only what was read: values by recency and frequency";
  info.source = "kvplace: docs/flagship.md";
  info.information = Information::kCausal;
  info.by_default = false;
  info.parameters = value_option_parameters(ScoredBy::kReads);
  info.uses_times = true;
  info.make = [](const Parameters& p) -> AnyPolicy {
    return std::unique_ptr<CausalPolicy>(std::make_unique<CausalValuePolicy>(value_options_of(ScoredBy::kReads, p)));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
