/// Makes a draft cheaper: its gaps are held, fetched at other times or missed instead, where that truly takes less
/// time.
#pragma once

#include "kvplace/base/run_context.h"
#include "solve/gap_plan/draft.h"
#include "solve/plan_stop.h"

namespace kvplace {

struct ImproveResult {
  double total = 0;  ///< seconds
  std::uint32_t passes = 0;
  bool complete = false;
};

/// Repeats its passes until nothing improves or `stop` says so (asked often). `capacity`: blocks.
[[nodiscard]] ImproveResult improve_plan(const PlanCost& cost, std::int64_t capacity, PlanDraft& draft,
                                         const StopPlanning& stop, Progress* progress);

}  // namespace kvplace
