#include "kvplace/simulate/prove.h"

#include <algorithm>
#include <chrono>

#include "kvplace/base/file_guard.h"
#include "kvplace/base/progress.h"
#include "kvplace/simulate/compare.h"
#include "kvplace/simulate/schedules.h"
#include "kvplace/solve/residency_value.h"

namespace kvplace {
namespace {

ExactOptions exact_options() {
  ExactOptions options;
  options.milp = true;
  return options;
}

/// What would else be found out after the search.
Status check(const TraceReader& trace, const Instance& instance, const ProveOptions& options, FileScope& files) {
  for (const std::string& path : {options.certificate_path, options.any_path}) {
    if (!path.empty()) {
      KVPLACE_TRY(files.claim(path, options.resume ? OutputMode::kUpdates : OutputMode::kReplaces));
    }
  }
  for (const std::string& path : {options.schedule_path, options.values_path}) {
    if (!path.empty()) {
      KVPLACE_TRY(files.claim(path));
    }
  }
  KVPLACE_TRY(bound_numbers(instance.for_bounds(), trace));
  if (options.exact && instance.options().copies == Copies::kBackground) {
    return bad_input("--exact searches the schedules whose copies end within their step: it needs --copies step");
  }
  return options.exact ? check_exact(trace, instance, exact_options()) : Status();
}

Result<Certificate> known_certificate(const std::string& path, Claim claim, const Instance& instance,
                                      const TraceReader& trace) {
  KVPLACE_ASSIGN(known, read_certificate(path));
  if (claim == Claim::kAny && known.claim != claim) {
    return bad_input(path + ": speaks of fewer schedules, those of the claim step, so there is nothing to resume");
  }
  KVPLACE_ASSIGN(here, bound_numbers(instance.for_bounds(), trace));
  if (const std::string other = differences(known.numbers, here); !other.empty()) {
    const std::string what = known.numbers.trace_digest == here.trace_digest ? "instance" : "trace";
    return bad_input(path + ": speaks about another " + what + ", so there is nothing to resume: " + other);
  }
  return known;
}

/// What an output's not being made means for the rest: after an interrupt it is left out, else it is told at the end.
void take_error(const Error& error, Proof& proof) {
  if (error.kind != ErrorKind::kInterrupted && proof.outputs) {
    proof.outputs = tl::unexpected(error);
  }
}

}  // namespace

std::optional<double> Proof::gap() const {
  const double bound_s = covering_bound().value();
  return schedule && bound_s > 0 ? std::optional(schedule->total.value() / bound_s - 1) : std::nullopt;
}

Seconds Proof::covering_bound() const { return (covers == Claim::kAny ? any : bound).verified.bound; }

bool Proof::limit_reached() const {
  return interrupted || bound.status != SearchStatus::kConverged || any.status != SearchStatus::kConverged ||
         planning == PlanStatus::kTimeLimit || planning == PlanStatus::kInterrupted;
}

Result<Proof> prove(const TraceReader& trace, const Instance& instance, const ProveOptions& options,
                    const RunContext& context) {
  const auto begin = std::chrono::steady_clock::now();
  Proof proof;
  proof.manifest = make_manifest(trace);
  proof.covers = covering_claim(instance.options());
  FileScope files;
  KVPLACE_TRY(check(trace, instance, options, files));
  BoundOptions search = options.search;
  const auto path_of = [&](Claim claim) { return claim == Claim::kAny ? options.any_path : options.certificate_path; };
  for (const Claim claim : {Claim::kAny, Claim::kStep}) {
    if (options.resume && !path_of(claim).empty()) {
      KVPLACE_ASSIGN(read, known_certificate(path_of(claim), claim, instance, trace));
      search.known.push_back(std::move(read));
    }
  }
  const auto sign = [&](Certificate& certificate) {
    if (certificate.made_by.empty()) {
      certificate.made_by = "kvplace " + proof.manifest.version;
    }
  };
  if (!options.certificate_path.empty() || !options.any_path.empty()) {
    search.on_better = [&](Certificate certificate) -> Status {
      if (const std::string path = path_of(certificate.claim); !path.empty()) {
        sign(certificate);
        (void)write_certificate(path, certificate);  // whether the last one can be written is told
      }
      return {};
    };
  }
  KVPLACE_ASSIGN(bounds, solve_bounds(trace, instance.for_bounds(), search, context));
  proof.bound = std::move(bounds.step);
  proof.any = std::move(bounds.any);
  sign(proof.bound.certificate);
  sign(proof.any.certificate);
  report_figure(context.progress, "bound", proof.bound.verified.bound.value());
  const auto left = [&] {
    const double passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return Seconds(std::max(0.0, options.search.time_limit.value() - passed));
  };
  for (const ProvenBound* proven : {&proof.bound, &proof.any}) {
    const std::string path = path_of(proven->certificate.claim);
    const Status written = path.empty() ? Status() : write_certificate(path, proven->certificate);
    if (!written) {
      take_error(written.error(), proof);
    }
  }
  if (options.exact) {
    ExactOptions exact = exact_options();
    exact.time_limit = left();
    KVPLACE_ASSIGN(solution, solve_exact(trace, instance.for_bounds(), exact, context));
    proof.exact = std::move(solution);
  }
  // What an interrupt keeps from being made is left out; the bound stands.
  if (!options.values_path.empty()) {
    const Status written =
        write_residency_values(trace, instance.for_bounds(), proof.bound.certificate, options.values_path, context);
    if (!written) {
      take_error(written.error(), proof);
    }
  }
  if (!options.schedule_path.empty()) {
    KVPLACE_ASSIGN(planned, PolicyRegistry::instance().parse("planned"));
    planned.parameters["seconds"] = left().value();
    planned.parameters["enough"] = proof.covering_bound().value() * (1 + options.enough_gap);
    Result<ReplayResult> replayed = record_schedule(trace, instance, planned, options.schedule_path, context);
    if (replayed) {
      proof.schedule = std::move(*replayed);
      proof.planning = proof.schedule->planning;
    } else {
      take_error(replayed.error(), proof);
      if (replayed.error().kind == ErrorKind::kInterrupted) {
        proof.planning = PlanStatus::kInterrupted;
      }
    }
  }
  proof.seconds = Seconds(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  proof.interrupted = context.stop_requested();
  return proof;
}

}  // namespace kvplace
