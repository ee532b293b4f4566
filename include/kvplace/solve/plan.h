/// The offline planner: a placement schedule of a whole trace, close to the fastest one.
#pragma once

#include <cstdint>
#include <string>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/instance/instance.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

struct PlanOptions {
  /// Improvement stops then; the passes over the trace that any schedule needs are made in any case.
  Seconds time_limit{60};
  /// Improvement stops once the schedule takes no more than this.
  Seconds enough{0};
};

/// How planning ended: nothing improves the schedule any more; it takes no more than `enough`; the time limit; an
/// interrupt.
enum class PlanStatus : std::uint8_t { kConverged, kNearEnough, kTimeLimit, kInterrupted };
/// "converged", "near_enough", "time_limit", "interrupted".
[[nodiscard]] std::string to_text(PlanStatus status);

/// Counts are of gaps: the times from a block's birth, or a read, to its next read that is not near by rule.
struct PlanSummary {
  Seconds predicted;             ///< total time; in inclusive mode the replay gives the same but for rounding
  std::uint64_t held = 0;        ///< gaps over which the block stays near
  std::uint64_t missed = 0;      ///< gaps that end in a far read
  std::uint64_t prefetched = 0;  ///< gaps in which the block comes back before its read
  std::uint32_t passes = 0;      ///< improvement passes of the plan that was chosen
  bool complete = false;         ///< nothing improves it any more; false: enough, time limit or interrupt
};

/// True if plan_schedule() models the instance: blocks of one size, whole reads. Exclusive mode it models roughly: each
/// block that enters near makes one leave in the same step. polish_schedule() does the rest.
[[nodiscard]] bool can_plan(const Instance& instance);

/// Writes the schedule of `instance`, which is one of `trace`, to `path` (.kvs). Reads the trace nine times, each time
/// once through; memory O(blocks + steps * layers), 16 bytes per class of gaps (see docs/bound.md, "Gaps") and 32 bytes
/// per gap that is not held, of at most 2^25 such gaps in what the forward pass makes.
/// Deterministic for any number of threads unless the time limit or an interrupt ends it. An interrupt before a first
/// plan exists is an error; after that the best plan so far is written.
///
/// REQUIRES: can_plan(instance).
[[nodiscard]] Result<PlanSummary> plan_schedule(const TraceReader& trace, const Instance& instance,
                                                const PlanOptions& options, const std::string& path,
                                                const RunContext& context);

/// What polish_schedule() takes at most; a read takes 5 bytes, 9 in traces with partial reads.
inline constexpr std::uint64_t kMostPolishedReads = std::uint64_t{1} << 28;

struct PolishSummary {
  Seconds predicted;         ///< total time; the replay of the schedule gives the same but for rounding
  std::uint32_t passes = 0;  ///< over all blocks
  bool complete = false;     ///< nothing improves it any more; false: enough, time limit or interrupt
};

/// Improves the schedule `from` (.kvs) of `instance`, which keeps the rules, block by block, and writes it to `path`.
/// Any instance of at most kMostPolishedReads reads. One thread; deterministic unless the time limit or an interrupt
/// ends it.
[[nodiscard]] Result<PolishSummary> polish_schedule(const TraceReader& trace, const Instance& instance,
                                                    const PlanOptions& options, const std::string& from,
                                                    const std::string& path, const RunContext& context);

}  // namespace kvplace
