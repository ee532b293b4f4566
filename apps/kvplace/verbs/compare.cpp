#include <memory>

#include "app.h"
#include "instance_flags.h"
#include "kvplace/simulate/report.h"
#include "kvplace/simulate/schedules.h"
#include "tables.h"

namespace kvplace::cli {
namespace {

struct CompareFlags {
  TraceFlags trace;
  InstanceFlags instance;
  PolicyFlags policies;
  std::string schedule_out;
  bool bound = false;
  bool json = false;
};

VerbResult run(const CompareFlags& flags) {
  KVPLACE_ASSIGN(texts, flags.policies.texts(flags.instance));
  KVPLACE_ASSIGN(trace, flags.trace.open(&flags.instance));
  KVPLACE_ASSIGN(instance, flags.instance.instance(trace));
  KVPLACE_ASSIGN(policies, named_policies(texts, trace.meta(), instance));
  const RunContext context = run_context(flags.instance.threads());
  if (!flags.schedule_out.empty()) {
    if (policies.size() != 1) {
      return bad_input("--schedule-out stores one policy's schedule: name it with one --policy");
    }
    KVPLACE_TRY(record_schedule(trace, instance, policies.front(), flags.schedule_out, context));
  }
  KVPLACE_ASSIGN(comparison, compare(trace, instance, policies, context));
  if (flags.bound && comparison.complete) {
    KVPLACE_ASSIGN(proven, solve_bound(trace, instance, {}, context));
    comparison.proven = std::move(proven);
  }
  KVPLACE_TRY(print(flags.json ? to_json(comparison, instance) + "\n"
                               : describe(trace, instance) + "\n" + table(comparison, instance, terminal_width())));
  const bool proof_complete = !comparison.proven || comparison.proven->status == SearchStatus::kConverged;
  return comparison.complete && proof_complete ? kDone : kLimitReached;
}

}  // namespace

void add_compare(App& app) {
  auto flags = std::make_shared<CompareFlags>();
  CLI::App* verb = app.add_verb("compare", "What each placement policy costs on a trace and a machine",
                                [flags] { return run(*flags); });
  flags->trace.add_to(*verb, false);
  flags->policies.add_to(*verb);
  flags->instance.add_to(*verb);
  writes_file(
      verb->add_option("--schedule-out", flags->schedule_out, "store the one policy's decisions as a schedule (.kvs)"));
  verb->add_flag("--bound", flags->bound, "also prove a lower bound, and how far each policy is above it");
  verb->add_flag("--json", flags->json, "one JSON object instead of the table");
}

}  // namespace kvplace::cli
