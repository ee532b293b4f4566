#include "kvplace/simulate/prove.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "kvplace/base/progress.h"
#include "kvplace/simulate/compare.h"
#include "kvplace/simulate/schedules.h"
#include "kvplace/solve/residency_value.h"

namespace kvplace {
namespace {

/// What would else be found out after the search.
Status check(const ProveOptions& options) {
  const std::array outputs{&options.certificate_path, &options.schedule_path, &options.values_path};
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (!outputs[i]->empty() && *outputs[i] == *outputs[j]) {
        return bad_input(*outputs[i] + ": is the name of two outputs; give each a name of its own");
      }
    }
  }
  return {};
}

Result<Certificate> known_certificate(const std::string& path, const Instance& instance, const TraceReader& trace) {
  KVPLACE_ASSIGN(known, read_certificate(path));
  KVPLACE_ASSIGN(here, bound_numbers(instance, trace));
  if (const std::string other = differences(known.numbers, here); !other.empty()) {
    const std::string what = known.numbers.trace_digest == here.trace_digest ? "instance" : "trace";
    return bad_input(path + ": speaks about another " + what + ", so there is nothing to resume: " + other);
  }
  return known;
}

Status unless_interrupted(const Error& error) {
  return error.kind == ErrorKind::kInterrupted ? Status() : tl::unexpected(error);
}

}  // namespace

std::optional<double> Proof::gap() const {
  const double bound_s = bound.verified.bound.value();
  return schedule && bound_s > 0 ? std::optional(schedule->total.value() / bound_s - 1) : std::nullopt;
}

bool Proof::limit_reached() const {
  return interrupted || bound.status != SearchStatus::kConverged || planning == PlanStatus::kTimeLimit ||
         planning == PlanStatus::kInterrupted;
}

Result<Proof> prove(const TraceReader& trace, const Instance& instance, const ProveOptions& options,
                    const RunContext& context) {
  const auto begin = std::chrono::steady_clock::now();
  Proof proof;
  proof.manifest = make_manifest(trace);
  KVPLACE_TRY(check(options));
  BoundOptions search = options.search;
  std::optional<Certificate> known;
  if (options.resume) {
    KVPLACE_ASSIGN(read, known_certificate(options.certificate_path, instance, trace));
    known = std::move(read);
    search.known = &*known;
  }
  const auto sign = [&](Certificate& certificate) {
    if (certificate.made_by.empty()) {
      certificate.made_by = "kvplace " + proof.manifest.version;
    }
  };
  if (!options.certificate_path.empty()) {
    search.on_better = [&](Certificate certificate) {
      sign(certificate);
      return write_certificate(options.certificate_path, certificate);
    };
  }
  KVPLACE_ASSIGN(bound, solve_bound(trace, instance, search, context));
  proof.bound = std::move(bound);
  sign(proof.bound.certificate);
  const double bound_s = proof.bound.verified.bound.value();
  report_figure(context.progress, "bound", bound_s);
  const auto left = [&] {
    const double passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return Seconds(std::max(0.0, options.search.time_limit.value() - passed));
  };
  if (!options.certificate_path.empty()) {
    KVPLACE_TRY(write_certificate(options.certificate_path, proof.bound.certificate));
  }
  if (options.exact) {
    ExactOptions exact;
    exact.milp = true;
    exact.time_limit = left();
    KVPLACE_ASSIGN(solution, solve_exact(trace, instance, exact, context));
    proof.exact = std::move(solution);
  }
  // What an interrupt keeps from being made is left out; the bound stands.
  if (!options.values_path.empty()) {
    const Status written =
        write_residency_values(trace, instance, proof.bound.certificate, options.values_path, context);
    if (!written) {
      KVPLACE_TRY(unless_interrupted(written.error()));
    }
  }
  if (!options.schedule_path.empty()) {
    KVPLACE_ASSIGN(planned, PolicyRegistry::instance().parse("planned"));
    planned.parameters["seconds"] = left().value();
    planned.parameters["enough"] = bound_s * (1 + options.enough_gap);
    Result<ReplayResult> replayed = record_schedule(trace, instance, planned, options.schedule_path, context);
    if (replayed) {
      proof.schedule = std::move(*replayed);
      proof.planning = proof.schedule->planning;
    } else {
      KVPLACE_TRY(unless_interrupted(replayed.error()));
      proof.planning = PlanStatus::kInterrupted;
    }
  }
  proof.seconds = Seconds(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  proof.interrupted = context.stop_requested();
  return proof;
}

}  // namespace kvplace
