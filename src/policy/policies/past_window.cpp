/// past-window:
///
///     new blocks stay near while there is room;  nothing is promoted
///     in each step, while more than threshold x capacity is near:
///         evict the layer's block that was read longest ago, if that is more than `window` decode steps
#include "kvplace/policy/registry.h"
#include "policy/support/unread_policy.h"

namespace kvplace {

void register_policy_past_window(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "past-window";
  info.doc = "new blocks near while there is room; once near is almost full, blocks not read in the last steps leave";
  info.source = "PastWindowMigration in the code before Fang et al., arXiv 2508.13231";
  info.information = Information::kCausal;
  info.parameters = {{"window", "how far it looks back", "decode steps", 50, 1, 1e6, true},
                     {"threshold", "how full near is when blocks leave", "share of the capacity", 0.9, 0, 1, false}};
  info.by_default = false;
  info.make = [](const Parameters& p) -> AnyPolicy {
    return std::unique_ptr<CausalPolicy>(
        std::make_unique<UnreadPolicy>(static_cast<std::uint32_t>(p.at("window")), p.at("threshold")));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
