/// Makes a draft cheaper: its gaps are held, fetched at other times or missed instead, where that truly takes less
/// time.
#pragma once

#include <functional>

#include "kvplace/base/run_context.h"
#include "solve/plan_draft.h"

namespace kvplace {

struct ImproveResult {
  double total = 0;  ///< seconds
  std::uint32_t passes = 0;
  bool complete = false;
};

/// Says whether to stop with what costs so many seconds.
using StopPlanning = std::function<bool(double)>;

/// Repeats its passes until nothing improves or `stop` says so (asked often). `capacity`: blocks.
[[nodiscard]] ImproveResult improve_plan(const PlanCost& cost, std::int64_t capacity, PlanDraft& draft,
                                         const StopPlanning& stop, Progress* progress);

}  // namespace kvplace
