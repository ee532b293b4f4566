/// From a plan to a schedule: what enters and leaves near memory in each step.
#pragma once

#include "kvplace/instance/schedule.h"
#include "solve/gap_plan/draft.h"

namespace kvplace {

/// Two passes over the trace, one of them from its end.
[[nodiscard]] Status write_plan(const TraceReader& trace, const Instance& instance, const PlanDraft& draft,
                                const std::string& path, const RunContext& context);

}  // namespace kvplace
