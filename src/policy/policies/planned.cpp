/// planned:
///
///     known: the whole trace
///     drafts: from the end, forward, by min-cost flows;  each improved gap by gap
///     the fastest, improved block by block while the time falls
#include "kvplace/policy/registry.h"

namespace kvplace {

void register_policy_planned(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "planned";
  info.doc = "the offline planner's schedule: holds and prefetches where that truly takes less time";
  info.source = "docs/planner.md";
  info.information = Information::kOracle;
  info.parameters = {{"seconds", "when improving the plan ends", "seconds", 60, 0, 1e6, false},
                     {"enough", "total time at which improving ends as well", "seconds", 0, 0, 1e18, false}};
  info.planned = true;
  registry.add(std::move(info));
}

}  // namespace kvplace
