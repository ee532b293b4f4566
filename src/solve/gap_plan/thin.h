/// Lets blocks go that a plan keeps near, for as long as near memory's work takes longer than what far memory could
/// read beside it: a read from far then saves time, until the block enters again.
#pragma once

#include "kvplace/trace/reader.h"
#include "solve/gap_plan/draft.h"

namespace kvplace {

/// Block by block: which of its held gaps are missed instead is a shortest path over its reads, at what they cost the
/// steps as they are by then. No block is near that was not before, so there is room. One pass over the trace, chunk by
/// chunk, its layers in parallel if they do not share groups. Returns the seconds that it saves, 0 or more; afterwards
/// the draft is ready to be written, but not to be improved. An error of kind kInterrupted leaves it as it was.
/// REQUIRES: inclusive mode, blocks of one size, read whole.
[[nodiscard]] Result<double> thin_plan(const TraceReader& trace, const Instance& instance, const PlanCost& cost,
                                       PlanDraft& draft, const RunContext& context);

}  // namespace kvplace
