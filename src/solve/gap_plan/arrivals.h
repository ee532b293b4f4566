/// The draft of a plan in which it is known for every gap when its block arrives.
#pragma once

#include "solve/gap_plan/draft.h"
#include "solve/gaps/gap_list.h"

namespace kvplace {

/// `arrivals`: of the gaps that are not held, in any order. One pass over the trace.
[[nodiscard]] Result<PlanDraft> draft_arrivals(const TraceReader& trace, const Instance& instance, const PlanCost& cost,
                                               std::vector<Arrival> arrivals, const RunContext& context);

}  // namespace kvplace
