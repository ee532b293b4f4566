/// What searches for bounds of one trace may share.
#pragma once

#include "kvplace/solve/bound.h"
#include "solve/gaps/gap_classes.h"
#include "solve/search/window_search.h"

namespace kvplace {

/// The gap classes of a trace and the tables of the window search, for instances that differ only in what these do not
/// depend on: bandwidths, batch, weights, and from a free start the near capacity. Safe to share between threads.
struct SharedGaps {
  GapClasses classes;
  WindowTables tables;
  Start start = Start::kFree;
  StepGroups groups;
  Bytes kv_row;
  Bytes new_kv;  ///< of the first layer

  /// Of the same trace.
  [[nodiscard]] bool fit(const Instance& instance) const;
};

/// One pass over the trace. An error of kind kInterrupted if it was stopped.
[[nodiscard]] Result<SharedGaps> share_gaps(const TraceReader& trace, const Instance& instance,
                                            const RunContext& context);

/// As the public one. `shared`, of the same trace, is used if it fits; null: nothing is shared. With it and without
/// the ascent, only the prices that the search values most are verified.
[[nodiscard]] Result<ProvenBound> solve_bound(const TraceReader& trace, const Instance& instance,
                                              const BoundOptions& options, const RunContext& context,
                                              const SharedGaps* shared);

}  // namespace kvplace
