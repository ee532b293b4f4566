#include <memory>

#include "app.h"
#include "flag_value.h"
#include "instance_flags.h"
#include "kvplace/base/measure.h"
#include "kvplace/base/parse.h"
#include "kvplace/simulate/report.h"
#include "tables.h"

namespace kvplace::cli {
namespace {

struct BoundFlags {
  TraceFlags trace;
  InstanceFlags instance;
  ProveOptions options;
  std::string time_limit;
  std::string gap;
  bool json = false;
};

VerbResult run(BoundFlags& flags) {
  ProveOptions& options = flags.options;
  if (!flags.time_limit.empty()) {
    KVPLACE_ASSIGN(time_limit, of_flag("--time-limit", parse_seconds(flags.time_limit)));
    options.search.time_limit = time_limit;
  }
  if (!flags.gap.empty()) {
    KVPLACE_ASSIGN(gap, of_flag("--gap", parse_percent(flags.gap)));
    options.enough_gap = gap;
  }
  KVPLACE_ASSIGN(trace, flags.trace.open(&flags.instance));
  KVPLACE_ASSIGN(instance, flags.instance.instance(trace));
  KVPLACE_ASSIGN(proof, prove(trace, instance, options, run_context(flags.instance.threads())));
  return print_result(
      flags.json ? to_json(proof, instance) + "\n" : describe(trace, instance) + "\n" + table(proof, instance),
      proof.outputs, proof.limit_reached() ? kLimitReached : kDone);
}

}  // namespace

void add_bound(App& app) {
  auto flags = std::make_shared<BoundFlags>();
  CLI::App* verb = app.add_verb("bound", "Prove how fast any placement could be, and find a schedule near that",
                                [flags] { return run(*flags); });
  flags->trace.add_optional_to(*verb, "refused: a truncated trace has no digest that a certificate could name");
  flags->trace.add_workload_to(*verb);
  flags->instance.add_to(*verb);
  ProveOptions& options = flags->options;
  app.add_output(*verb, "-o,--output", options.certificate_path, "the certificate of the bound (`.cert`)")->required();
  app.add_output(*verb, "--any-output", options.any_path,
                 "also the certificate of the bound for schedules whose copies may span steps (`.cert`)");
  app.add_output(*verb, "--schedule", options.schedule_path,
                 "also plan a schedule (`.kvs`), replay it and say how near it comes");
  app.add_output(*verb, "--values", options.values_path,
                 "also write what residency is worth after each read, as float32 seconds (`.npy`)");
  verb->add_flag("--exact", options.exact,
                 "also the linear relaxation and the best of all schedules; up to 100,000 variables");
  verb->add_option("--time-limit", flags->time_limit, "of everything: search, `--exact` and planning, like `60s`")
      ->default_str("`120s`")
      ->type_name("TIME");
  verb->add_option("--gap", flags->gap, "stop planning once the schedule is so near the bound, like `1%`")
      ->default_str("`0%`")
      ->type_name("PERCENT");
  verb->add_flag("--resume", options.resume,
                 "start from what the certificates named by `-o` and `--any-output` prove already");
  add_quiet_flag(*verb);
  add_json_flag(*verb, flags->json);
}

}  // namespace kvplace::cli
