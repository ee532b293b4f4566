#include <memory>

#include "app.h"
#include "instance_flags.h"
#include "kvplace/simulate/report.h"
#include "tables.h"

namespace kvplace::cli {
namespace {

struct ReplayFlags {
  TraceFlags trace;
  InstanceFlags instance;
  std::string schedule;
  bool json = false;
};

VerbResult run(const ReplayFlags& flags) {
  KVPLACE_ASSIGN(trace, flags.trace.open());
  KVPLACE_ASSIGN(instance, flags.instance.instance(trace));
  KVPLACE_ASSIGN(replayed, replay_schedule(trace, flags.schedule, instance, run_context(flags.instance.threads())));
  KVPLACE_TRY(print(flags.json ? to_json(replayed.result, replayed.bounds, make_manifest(trace), instance) + "\n"
                               : describe(trace, instance) + "\n" + table(replayed, instance, terminal_width())));
  return replayed.result.steps == instance.steps() ? kDone : kLimitReached;
}

}  // namespace

void add_replay(App& app) {
  auto flags = std::make_shared<ReplayFlags>();
  CLI::App* verb =
      app.add_verb("replay", "Time of a stored schedule, checked step by step", [flags] { return run(*flags); });
  flags->trace.add_to(*verb);
  reads_file(verb->add_option("schedule", flags->schedule, "schedule (`.kvs`, docs/schedule_format.md)"))->required();
  flags->instance.add_to(*verb);
  add_quiet_flag(*verb);
  add_json_flag(*verb, flags->json);
}

}  // namespace kvplace::cli
