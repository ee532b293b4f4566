/// Block by block, each on its cheapest path while the others stay: never dearer than before.
#pragma once

#include "solve/gap_plan/improve.h"
#include "solve/path_plan/paths.h"
#include "solve/path_plan/uses.h"

namespace kvplace {

struct DescentResult {
  double total = 0;          ///< seconds
  std::uint32_t passes = 0;  ///< over all blocks
  bool complete = false;     ///< nothing more to be gained
};

/// Improves `paths`, which keep to capacity, until nothing improves or `stop` says so (asked often).
[[nodiscard]] DescentResult descend(const Instance& instance, const PlanUses& uses, PlanPaths& paths,
                                    const StopPlanning& stop, Progress* progress);

}  // namespace kvplace
