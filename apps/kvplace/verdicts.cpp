#include "verdicts.h"

#include <fmt/core.h>

#include <algorithm>

#include "kvplace/base/short_text.h"

namespace kvplace::cli {
namespace {

const char* name_of_lower_bound(const Comparison& comparison) {
  if (comparison.covering() == nullptr) {
    return "the perfect split";
  }
  return comparison.covers == Claim::kAny ? "the bound (any)" : "the certified bound";
}

/// Where all placements are the same, often because the weights are nearly all that is read.
std::string weights_of(const Comparison& comparison, const Instance& instance) {
  constexpr double kMost = 0.5;
  const double weights =
      static_cast<double>(instance.weight_bytes_per_step().value()) * instance.layers() * instance.steps();
  for (const ReplayResult& result : comparison.results) {
    const double share = weights / static_cast<double>(std::max<std::int64_t>(1, result.read_bytes));
    return share >= kMost
               ? fmt::format(" Of the bytes read {} are weights, which no placement of KV changes.", percent(share))
               : std::string();
  }
  return {};
}

bool is_ideal(const ReplayResult& result) { return result.information == Information::kIdeal; }

std::ptrdiff_t num_placements(const Comparison& comparison) {
  return std::count_if(comparison.results.begin(), comparison.results.end(),
                       [](const ReplayResult& r) { return !is_ideal(r); });
}

/// Policies compared that are placements, `static` left out: it is named anyway.
bool compares_others(const Comparison& comparison) {
  return std::any_of(comparison.results.begin(), comparison.results.end(),
                     [](const ReplayResult& r) { return !is_ideal(r) && r.found_by != "static"; });
}

constexpr const char* kSplitAndAllNear =
    "(perfect split): no schedule that writes new KV as it comes is faster; it counts neither capacity nor copies.\n"
    "(all near): a machine with near memory for everything; no bound.\n";

std::string schedules_of(const Certificate& certificate) {
  const BoundNumbers& numbers = certificate.numbers;
  return "schedules " + proven_schedules(certificate.claim, numbers.barrier, numbers.batch);
}

}  // namespace

std::string placement_verdict(const Comparison& comparison, const Instance& instance, const std::string& which) {
  const std::optional<bool> matters = comparison.placement_matters();
  const auto compared = comparison.placements();
  if (!comparison.static_time || (matters && *matters && !compared)) {
    return {};
  }
  const Seconds unmoved = *comparison.static_time;
  const Seconds slowest = compared ? std::max(compared->second, unmoved) : unmoved;
  const double above = 100 * (slowest / comparison.lower_bound() - 1);
  if (matters && !*matters) {
    return fmt::format("Placement does not matter here: static, which moves nothing,{} within 1 % of {}.{}\n",
                       compares_others(comparison) ? " and every policy " + which + " are" : " is",
                       name_of_lower_bound(comparison), weights_of(comparison, instance));
  }
  if (!comparison.complete || !compares_others(comparison)) {
    return {};
  }
  if (!matters) {
    return fmt::format(
        "Every policy {}, and static, which moves nothing, take the same time within 1 %, up to {:.1f} % above {}:\n"
        "whether another placement is faster is not known here.\n",
        which, above, name_of_lower_bound(comparison));
  }
  const bool alike = compared->second <= compared->first * (1 + kSameTime);
  if (num_placements(comparison) < 2 || !alike) {
    return {};
  }
  return fmt::format(
      "The policies {} take the same time within 1 %, but placement matters here: static, which moves nothing, "
      "takes\n"
      "{:.2f} times as long as the fastest of them.\n",
      which, unmoved / compared->first);
}

std::string ending_verdict(const Comparison& comparison, const Instance& instance) {
  std::string out;
  if (!comparison.complete) {
    const std::uint32_t steps = comparison.results.empty() ? 0 : comparison.results.front().steps;
    out += steps == instance.steps() ? std::string("Interrupted: what searches found until then.\n")
                                     : fmt::format("Interrupted: the first {} of {} decode steps.\n",
                                                   with_commas(steps), with_commas(instance.steps()));
  }
  if (const ProvenBound* const bound = comparison.covering();
      bound != nullptr && bound->status != SearchStatus::kConverged) {
    out += std::string(comparison.covers == Claim::kAny ? "(any)" : "(certified)") +
           ": valid, but its search was cut short, so more time may prove more.\n";
  }
  for (const ReplayResult& result : comparison.results) {
    if (result.planning == PlanStatus::kTimeLimit) {
      out += result.policy.name + ": its time limit ended the planning, so more time may give a faster schedule.\n";
    }
  }
  return out;
}

std::string legend(const Comparison& comparison) {
  std::string out;
  if (comparison.proven) {
    out += "(certified): proven for " + schedules_of(comparison.proven->certificate) + ": none is faster.\n";
  }
  if (comparison.proven_any) {
    out += "(any): proven for " + schedules_of(comparison.proven_any->certificate) + ": none is faster.\n";
  }
  if (comparison.covering() != nullptr && comparison.covers == Claim::kAny) {
    out +=
        "x bound is over (any): copies in the background are no schedules of (certified), and may be faster than it.\n";
  }
  out += kSplitAndAllNear;
  for (const ReplayResult& result : comparison.results) {
    if (is_ideal(result)) {
      out +=
          result.policy.name +
          ": an ideal, no placement. Blocks and weights are divided as suits and nothing moves, so it may be below the "
          "bounds.\n";
    }
  }
  return out;
}

std::string costs_verdict(const Instance& instance) {
  if (!instance.step_time().has_costs() && !instance.all_near_time().has_costs()) {
    return {};
  }
  return instance.options().bound_costs == BoundCosts::kPeak
             ? "Bounds are of the machine at its peak: they count no efficiency, overhead or latency of the engine.\n"
             : "Bounds count the engine's efficiencies and overheads, but no latency of far memory.\n";
}

std::string legend() { return kSplitAndAllNear; }

std::string proof_verdict(const Proof& proof) {
  return "bound: proven for " + schedules_of(proof.bound.certificate) + ": none is faster.\nany: proven for " +
         schedules_of(proof.any.certificate) + ": none is faster.\nkvplace verify re-checks both.\n";
}

std::string proof_verdict(const VerifiedBound& bound, const Certificate& certificate) {
  return fmt::format("proven    for {}:\n          none takes less than {} s, {} per decode step\n",
                     schedules_of(certificate), bound.bound_decimal,
                     short_time(bound.bound.value() / certificate.numbers.steps, Rounding::kDown));
}

std::string capacity_verdict(const Proof& proof, const Instance& instance) {
  const double percent_of_near = static_cast<double>(instance.capacity().value()) / 100;
  // Only so: with start recent, more room also means more blocks near at the start.
  const std::string out = "With the same blocks near at the start, ";
  if (proof.bound.capacity_price_s_per_byte <= 0) {
    return out + "more near memory does not lower it.\n";
  }
  return out + fmt::format("1 % more near memory ({}) lowers it by at most {}.\n",
                           short_bytes(percent_of_near * instance.options().batch),
                           short_time(percent_of_near * proof.bound.capacity_price_s_per_byte, Rounding::kUp));
}

std::string search_verdict(const ProvenBound& bound) {
  const char* ended = "converged";
  if (bound.status == SearchStatus::kTimeLimit) {
    ended = "search ended by the time limit";
  } else if (bound.status == SearchStatus::kInterrupted) {
    ended = "search interrupted";
  }
  return fmt::format("{} in {:.1f} s, {} price{} tried", ended, bound.seconds.value(), bound.evaluations,
                     bound.evaluations == 1 ? "" : "s");
}

std::string planning_verdict(const Proof& proof) {
  std::string out = proof.gap() ? fmt::format("{:.3f} % above {}", 100 * *proof.gap(),
                                              proof.covers == Claim::kAny ? "any" : "the bound")
                                : std::string();
  if (!proof.planning) {
    return out;
  }
  out += out.empty() ? "" : "; ";
  switch (*proof.planning) {
    case PlanStatus::kConverged:
      return out + "planning converged";
    case PlanStatus::kNearEnough:
      return out + "near enough";
    case PlanStatus::kTimeLimit:
      return out + "planning ended by the time limit";
    case PlanStatus::kInterrupted:
      return out + "planning interrupted";
  }
  return out;
}

std::string relaxation_verdict(const Proof& proof) {
  constexpr double kRounding = 1e-6;
  const bool below = proof.bound.verified.bound.value() > proof.exact->lp.value() * (1 + kRounding);
  return fmt::format("exact, {} variables{}", proof.exact->variables,
                     below ? "; it cuts blocks, the bound does not" : "");
}

std::string best_schedule_verdict(const ExactSolution& exact) {
  return exact.milp_optimal ? "of all, exact" : "the best found; another may be faster";
}

std::string certified_scope(const SizeResult& result, const InstanceOptions& options) {
  const bool batches = result.find == Find::kBatch && result.target.kind != SizeTarget::Kind::kCost;
  return "(certified) speaks of schedules " +
         proven_schedules(covering_claim(options), options.barrier, batches ? 2 : options.batch) + ".\n";
}

std::string twin_verdict(const TwinReport& report) {
  const std::vector<std::string> beyond = beyond_tolerance(report);
  std::string out =
      beyond.empty() ? "within 10 %, or 3 standard deviations of the count where that is more: overlap and LRU misses "
                       "of each\nlayer, the other misses and the reuse distances over all layers\n"
                     : "beyond 10 % and 3 standard deviations of the count:\n";
  for (const std::string& figure : beyond) {
    out += "  " + figure + "\n";
  }
  return out;
}

std::string budgets_verdict(const LayerBudgets& budgets) {
  return budgets.equal_are_better
             ? "Unequal budgets had more far reads than equal ones, or took longer, when replayed on "
               "these traces: equal ones are given.\n"
             : "";
}

}  // namespace kvplace::cli
