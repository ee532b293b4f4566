/// A draft of a plan: one forward pass that knows next reads.
#pragma once

#include "kvplace/trace/next_reads.h"
#include "solve/gap_plan/draft.h"

namespace kvplace {

/// `next_reads`: of reads that are not near by rule.
[[nodiscard]] Result<PlanDraft> draft_plan(const TraceReader& trace, const Instance& instance, const PlanCost& cost,
                                           const NextReads& next_reads, const RunContext& context);

}  // namespace kvplace
