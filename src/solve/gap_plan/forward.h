/// The first draft of a plan: one forward pass that knows next reads.
#pragma once

#include "kvplace/trace/next_reads.h"
#include "solve/gap_plan/draft.h"

namespace kvplace {

struct ForwardOptions {
  /// A block is let go after its read while fewer than this share of the misses that near traffic hides at its next
  /// read are planned; `drop_misses`: the same of blocks that were just missed, and would cost a promotion to keep.
  double drop_hits = 0;
  double drop_misses = 0;
  bool prefetch = true;
  std::size_t most_gaps = std::size_t{1} << 25;
};

/// `next_reads`: of reads that are not near by rule.
[[nodiscard]] Result<PlanDraft> draft_plan(const TraceReader& trace, const Instance& instance, const PlanCost& cost,
                                           const NextReads& next_reads, const ForwardOptions& options,
                                           const RunContext& context);

}  // namespace kvplace
