#include <chrono>

#include "kvplace/solve/plan.h"
#include "solve/plan_descent.h"

namespace kvplace {
Result<PolishSummary> polish_schedule(const TraceReader& trace, const Instance& instance, const PlanOptions& options,
                                      const std::string& from, const std::string& path, const RunContext& context) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  const auto stop = [&](double total) {
    return context.stop_requested() || total <= options.enough.value() ||
           std::chrono::duration<double>(Clock::now() - begin).count() >= options.time_limit.value();
  };
  KVPLACE_ASSIGN(uses, PlanUses::make(trace, instance, kMostPolishedReads, context));
  KVPLACE_ASSIGN(paths, read_paths(from, instance));
  const DescentResult result = descend(instance, uses, paths, stop, context.progress);
  ScheduleMeta meta;
  meta.trace_digest = trace.totals().digest;
  meta.layers = instance.layers();
  meta.steps = instance.steps();
  meta.blocks_per_layer = instance.blocks_per_layer();
  meta.mode = instance.options().mode;
  meta.made_by = "planned";
  KVPLACE_TRY(write_paths(paths, meta, path));
  return PolishSummary{Seconds(result.total), result.passes, result.complete};
}

}  // namespace kvplace
