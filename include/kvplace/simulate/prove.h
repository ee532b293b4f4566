/// A proven bound beside the schedule that comes near it: `kvplace bound`.
#pragma once

#include <optional>
#include <string>

#include "kvplace/base/manifest.h"
#include "kvplace/simulate/replay.h"
#include "kvplace/solve/bound.h"
#include "kvplace/solve/exact.h"

namespace kvplace {

struct ProveOptions {
  BoundOptions search;           ///< its time limit is that of everything: what it leaves is for planning
  double enough_gap = 0;         ///< planning ends once the schedule is no further above the bound
  std::string certificate_path;  ///< where the certificate of `step` goes, each better one anew; empty: nowhere
  std::string any_path;          ///< where that of `any` goes, the same way
  bool resume = false;           ///< start from what the certificates there prove already
  std::string schedule_path;     ///< where the schedule goes; empty: none is looked for
  bool exact = false;            ///< also solve the linear relaxation and search all schedules: small instances only
  std::string values_path;       ///< where the worth of residency goes (see residency_value.h); empty: nowhere
};

struct Proof {
  Manifest manifest;
  ProvenBound bound;                     ///< of the claim `step`
  ProvenBound any;                       ///< of the claim `any`, no more than it
  Claim covers = Claim::kStep;           ///< the claim that covers the schedule, see covering_claim()
  std::optional<ReplayResult> schedule;  ///< as replayed; none if it was not asked for or an interrupt came before it
  std::optional<ExactSolution> exact;
  /// How planning ended, whatever the search for the bound did; none if no schedule was asked for, or if it could
  /// not be written.
  std::optional<PlanStatus> planning;
  /// What kept the first of the files from being written that could not be: a full disk. The bound stands.
  Status outputs;
  Seconds seconds;           ///< of everything
  bool interrupted = false;  ///< an interrupt came: what was not made by then is left out, the schedule not improved

  /// Of the claim that covers the schedule.
  [[nodiscard]] Seconds covering_bound() const;
  /// Replayed time of the schedule / covering_bound() - 1; none without a schedule or if the bound is 0.
  [[nodiscard]] std::optional<double> gap() const;
  /// Whether more time could have given more: a search, or planning, that a limit or an interrupt ended.
  [[nodiscard]] bool limit_reached() const;
};

/// Errors, all before the search: bad input if an output cannot be made or is an input or another output, if the
/// instance is too large for the exact solution, or if the certificate to resume from speaks about another instance or
/// trace; failed if another run writes an output.
[[nodiscard]] Result<Proof> prove(const TraceReader& trace, const Instance& instance, const ProveOptions& options,
                                  const RunContext& context);

}  // namespace kvplace
