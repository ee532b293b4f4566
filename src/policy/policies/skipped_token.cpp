/// skipped-token:
///
///     new blocks stay near while there is room;  nothing is promoted
///     in each step, while more than threshold x capacity is near:
///         of the layer's blocks that this step does not read, evict the one read longest ago
#include "kvplace/policy/registry.h"
#include "policy/support/unread_policy.h"

namespace kvplace {

void register_policy_skipped_token(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "skipped-token";
  info.doc = "new blocks near while there is room; once near is almost full, blocks that the step skips leave";
  info.source = "SkippedTokensMigration in the code before Fang et al., arXiv 2508.13231";
  info.information = Information::kCausal;
  info.parameters = {{"threshold", "how full near is when blocks leave", "share of the capacity", 0.9, 0, 1, false}};
  info.by_default = false;
  info.make = [](const Parameters& p) -> AnyPolicy {
    return std::unique_ptr<CausalPolicy>(std::make_unique<UnreadPolicy>(1, p.at("threshold")));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
