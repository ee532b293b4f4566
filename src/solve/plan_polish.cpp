#include "kvplace/solve/plan.h"
#include "solve/path_plan/descent.h"
#include "solve/plan_stop.h"

namespace kvplace {

Result<PolishSummary> polish_schedule(const TraceReader& trace, const Instance& instance, const PlanOptions& options,
                                      const std::string& from, const std::string& path, const RunContext& context) {
  const StopPlanning stop = stop_planning(options, context);
  KVPLACE_ASSIGN(uses, PlanUses::make(trace, instance, kMostPolishedReads, context));
  KVPLACE_ASSIGN(paths, read_paths(from, instance));
  const DescentResult result = descend(instance, uses, paths, stop, context.progress);
  KVPLACE_TRY(write_paths(paths, instance, schedule_meta(instance, trace.totals().digest, "planned"), path));
  return PolishSummary{Seconds(result.total), result.passes, result.complete};
}

}  // namespace kvplace
