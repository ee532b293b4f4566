#include <array>
#include <optional>

#include "kvplace/solve/plan.h"
#include "solve/plan_forward.h"
#include "solve/plan_improve.h"
#include "solve/plan_stop.h"
#include "solve/plan_write.h"

namespace kvplace {
namespace {

/// Drafts to start from. The first is the safest; none is best everywhere.
constexpr std::array<ForwardOptions, 4> kDrafts{{
    {.drop_hits = 0, .drop_misses = 0.9, .prefetch = true},
    {.drop_hits = 0, .drop_misses = 0, .prefetch = true},
    {.drop_hits = 1, .drop_misses = 1, .prefetch = true},
    {.drop_hits = 0, .drop_misses = 0, .prefetch = false},
}};

}  // namespace

bool can_plan(const Instance& instance) { return instance.uniform(); }

Result<PlanSummary> plan_schedule(const TraceReader& trace, const Instance& instance, const PlanOptions& options,
                                  const std::string& path, const RunContext& context) {
  if (!can_plan(instance)) {
    return bad_input("a plan needs blocks of one size and reads of whole blocks");
  }
  const StopPlanning stop = stop_planning(options, context);
  KVPLACE_ASSIGN(cost, PlanCost::make(trace, instance, context));
  KVPLACE_ASSIGN(next_reads, NextReads::build(trace, context, CountedReads::kNotNearByRule));
  const std::int64_t capacity = instance.capacity().value() / instance.kv_block_bytes().value();
  std::optional<PlanDraft> best;
  ImproveResult best_result;
  bool complete = true;
  for (const ForwardOptions& draft_options : kDrafts) {
    if (best && stop(best_result.total)) {
      complete = false;
      break;
    }
    Result<PlanDraft> draft = draft_plan(trace, instance, cost, next_reads, draft_options, context);
    if (!draft) {
      if (best && draft.error().kind == ErrorKind::kInterrupted) {
        complete = false;
        break;
      }
      return tl::unexpected(draft.error());
    }
    const ImproveResult result = improve_plan(cost, capacity, *draft, stop, context.progress);
    complete = complete && result.complete;
    if (!best || result.total < best_result.total) {
      best = std::move(*draft);
      best_result = result;
      if (instance.options().mode == Mode::kInclusive) {
        report_figure(context.progress, "schedule", result.total);
      }
    }
  }
  // What was planned is written whatever stopped the planning.
  RunContext writing = context;
  writing.interrupt = nullptr;
  KVPLACE_TRY(write_plan(trace, instance, *best, path, writing));
  PlanSummary summary;
  summary.predicted = Seconds(best_result.total);
  summary.passes = best_result.passes;
  summary.complete = complete;
  summary.held = best->held;
  summary.missed = best->missed;
  summary.prefetched = best->prefetched;
  return summary;
}

}  // namespace kvplace
