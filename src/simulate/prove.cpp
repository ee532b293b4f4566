#include "kvplace/simulate/prove.h"

#include <chrono>

#include "kvplace/simulate/compare.h"
#include "kvplace/simulate/schedules.h"
#include "kvplace/solve/residency_value.h"

namespace kvplace {

std::optional<double> Proof::gap() const {
  const double bound_s = bound.verified.bound.value();
  return schedule && bound_s > 0 ? std::optional(schedule->total.value() / bound_s - 1) : std::nullopt;
}

Result<Proof> prove(const TraceReader& trace, const Instance& instance, const ProveOptions& options,
                    const RunContext& context) {
  const auto begin = std::chrono::steady_clock::now();
  Proof proof;
  proof.manifest = make_manifest(trace);
  KVPLACE_ASSIGN(bound, solve_bound(trace, instance, options.search, context));
  proof.bound = std::move(bound);
  KVPLACE_TRY(write_certificate(options.certificate_path, proof.bound.certificate));
  if (options.exact) {
    ExactOptions exact;
    exact.milp = true;
    exact.time_limit = options.search.time_limit;
    KVPLACE_ASSIGN(solution, solve_exact(trace, instance, exact, context));
    proof.exact = std::move(solution);
  }
  if (!options.values_path.empty()) {
    KVPLACE_TRY(write_residency_values(trace, instance, proof.bound.certificate, options.values_path, context));
  }
  if (!options.schedule_path.empty() && !context.stop_requested()) {
    KVPLACE_ASSIGN(planned, PolicyRegistry::instance().parse("planned"));
    Result<ReplayResult> replayed = record_schedule(trace, instance, planned, options.schedule_path, context);
    if (replayed) {
      proof.schedule = std::move(*replayed);
    } else if (replayed.error().kind != ErrorKind::kInterrupted) {
      return tl::unexpected(std::move(replayed).error());
    } else {
      proof.bound.status = SearchStatus::kInterrupted;
    }
  }
  proof.seconds = Seconds(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  return proof;
}

}  // namespace kvplace
