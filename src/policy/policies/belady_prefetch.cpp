/// belady-prefetch:
///
///     as belady-global;  then, with copies in the background, while fewer than `queue` are in flight:
///     the far block that is read next, more than `lead` steps from now, comes in
///     for the near block that is read last, if that is later;  else nothing more comes in
#include "kvplace/policy/registry.h"
#include "policy/support/belady_policy.h"

namespace kvplace {

void register_policy_belady_prefetch(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "belady-prefetch";
  info.doc = "belady-global, and what is read next comes in ahead while the link is idle (--copies background)";
  info.source = "Aggressive: Cao, Felten, Karlin and Li 1995";
  info.information = Information::kOracle;
  info.by_default = false;
  info.parameters = {
      {"queue", "copies in flight, at most", "blocks", 2, 1, 1e6, true},
      {"lead", "steps before its read in which a copy is not begun any more", "steps of a layer", 10, 0, 1e6, true}};
  info.uses_times = true;
  info.make = [](const Parameters& p) -> AnyPolicy {
    return std::unique_ptr<OraclePolicy>(std::make_unique<BeladyPolicy>(
        FetchAhead{static_cast<std::uint32_t>(p.at("queue")), static_cast<std::uint32_t>(p.at("lead"))}));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
