#include <optional>

#include "kvplace/base/progress.h"
#include "kvplace/solve/plan.h"
#include "solve/flow/flow_plan.h"
#include "solve/gap_plan/arrivals.h"
#include "solve/gap_plan/forward.h"
#include "solve/gap_plan/greedy.h"
#include "solve/gap_plan/improve.h"
#include "solve/gap_plan/thin.h"
#include "solve/gap_plan/write.h"
#include "solve/plan_stop.h"

namespace kvplace {
namespace {

/// Classes of gaps that are listed at most, 16 bytes each and as much again to plan with.
constexpr std::uint64_t kMostClasses = std::uint64_t{1} << 27;
/// Another flow is solved if the last one gained such a share of the time, and there are no more classes of gaps: some
/// ten seconds.
constexpr double kWorthAFlow = 0.0005;
constexpr std::size_t kMostClassesAgain = 500'000;
/// Of traces with more: pieces that look less far ahead take half the time, and there is hardly anything in it.
constexpr FlowOptions kManyClasses{.gaps_per_piece = 12'000, .ahead = 0.25};

/// Makes drafts, improves each and keeps the best.
class Planner {
 public:
  Planner(const TraceReader& trace, const Instance& instance, const PlanCost& cost, const StopPlanning& stop,
          const RunContext& context)
      : trace_(trace),
        instance_(instance),
        cost_(cost),
        stop_(stop),
        context_(context),
        capacity_(instance.capacity().value() / instance.mean_kv_block_bytes().value()) {}

  Status run() {
    KVPLACE_TRY(list());
    const bool free_start = instance_.options().start == Start::kFree;
    if (!gaps_.empty()) {
      KVPLACE_TRY(
          consider(greedy_arrivals(gaps_, cost_, capacity_, free_start, [this] { return context_.stop_requested(); })));
    }
    KVPLACE_TRY(consider_forward());
    KVPLACE_TRY(consider_flows(free_start));
    return thin();
  }

  [[nodiscard]] const PlanDraft& best() const { return *best_; }
  [[nodiscard]] const ImproveResult& result() const { return result_; }
  [[nodiscard]] bool complete() const { return complete_; }

 private:
  /// Whether it has to end; what it ends is not complete.
  [[nodiscard]] bool ends() {
    const bool end = best_ && stop_(result_.total);
    complete_ = complete_ && !end;
    return end;
  }

  Status list() {
    KVPLACE_ASSIGN(classes,
                   build_gap_classes(trace_, instance_, [this] { return context_.stop_requested(); }, context_));
    if (classes.num_classes <= kMostClasses) {
      gaps_ = list_gaps(classes, static_cast<double>(instance_.mean_kv_block_bytes().value()));
    }
    return {};
  }
  Status consider_forward() {
    if (ends()) {
      return {};
    }
    Result<NextReads> next_reads = NextReads::build(trace_, context_, CountedReads::kNotNearByRule);
    if (!next_reads) {
      return give_up(next_reads.error());
    }
    return ends() ? Status() : consider(draft_plan(trace_, instance_, cost_, *next_reads, context_));
  }

  /// Costs that add up rather than hide depend on what a plan does: flows around the best one follow while that gains.
  Status consider_flows(bool free_start) {
    const FlowOptions options = gaps_.size() <= kMostClassesAgain ? FlowOptions() : kManyClasses;
    std::vector<GroupCounts> around(cost_.num_groups());
    for (bool gains = flow_fits(instance_, gaps_); gains && !ends();) {
      const double before = result_.total;
      KVPLACE_TRY(consider(flow_arrivals(
          gaps_, StepCosts(cost_, around), capacity_, free_start, options, [this] { return ends(); },
          context_.progress)));
      gains = result_.total < before * (1 - kWorthAFlow) && gaps_.size() <= kMostClassesAgain;
      around = best_->counts;
    }
    return {};
  }

  /// Where reads are split a far read never saves what a near one could not.
  Status thin() {
    const bool may_save =
        instance_.options().mode == Mode::kInclusive && instance_.options().mirrored_reads == MirroredReads::kNear;
    if (!may_save || ends()) {
      return {};
    }
    const Result<double> saved = thin_plan(trace_, instance_, cost_, *best_, context_);
    if (!saved) {
      return give_up(saved.error());
    }
    result_.total -= *saved;
    report_figure(context_.progress, "schedule", result_.total);
    return {};
  }

  /// None: stopped before it was made.
  Status consider(std::optional<std::vector<Arrival>> arrivals) {
    if (!arrivals) {
      return give_up(interrupted("stopped before there was a plan").value());
    }
    return consider(draft_arrivals(trace_, instance_, cost_, std::move(*arrivals), context_));
  }
  Status consider(Result<PlanDraft> draft) {
    if (!draft) {
      return give_up(draft.error());
    }
    const ImproveResult result = improve_plan(cost_, capacity_, *draft, stop_, context_.progress);
    complete_ = complete_ && result.complete;
    if (!best_ || result.total < result_.total) {
      best_ = std::move(*draft);
      result_ = result;
      if (instance_.options().mode == Mode::kInclusive) {
        report_figure(context_.progress, "schedule", result.total);
      }
    }
    return {};
  }
  /// An interrupt leaves what there is.
  Status give_up(const Error& error) {
    if (!best_ || error.kind != ErrorKind::kInterrupted) {
      return tl::unexpected(error);
    }
    complete_ = false;
    return {};
  }

  const TraceReader& trace_;
  const Instance& instance_;
  const PlanCost& cost_;
  const StopPlanning& stop_;
  const RunContext& context_;
  std::int64_t capacity_;
  std::vector<GapClass> gaps_;
  std::optional<PlanDraft> best_;
  ImproveResult result_;
  bool complete_ = true;
};

}  // namespace

std::string to_text(PlanStatus status) {
  switch (status) {
    case PlanStatus::kConverged:
      return "converged";
    case PlanStatus::kNearEnough:
      return "near_enough";
    case PlanStatus::kTimeLimit:
      return "time_limit";
    case PlanStatus::kInterrupted:
      return "interrupted";
  }
  return "";
}

bool can_plan(const Instance& instance) { return instance.uniform(); }

Result<PlanSummary> plan_schedule(const TraceReader& trace, const Instance& instance, const PlanOptions& options,
                                  const std::string& path, const RunContext& context) {
  if (!can_plan(instance)) {
    return bad_input("a plan needs blocks of one size and reads of whole blocks");
  }
  const StopPlanning stop = stop_planning(options, context);
  KVPLACE_ASSIGN(cost, PlanCost::make(trace, instance, context));
  Planner planner(trace, instance, cost, stop, context);
  KVPLACE_TRY(planner.run());
  // What was planned is written whatever stopped the planning.
  RunContext writing = context;
  writing.interrupt = nullptr;
  KVPLACE_TRY(write_plan(trace, instance, planner.best(), path, writing));
  PlanSummary summary;
  summary.predicted = Seconds(planner.result().total);
  summary.passes = planner.result().passes;
  summary.complete = planner.complete();
  summary.held = planner.best().held;
  summary.missed = planner.best().missed;
  summary.prefetched = planner.best().prefetched;
  return summary;
}

}  // namespace kvplace
