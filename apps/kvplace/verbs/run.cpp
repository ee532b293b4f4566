#include "kvplace/runtime/run.h"

#include <memory>

#include "app.h"
#include "instance_flags.h"
#include "kvplace/simulate/compare.h"
#include "runtime_text.h"
#include "tables.h"

namespace kvplace::cli {
namespace {

struct RunFlags {
  TraceFlags trace;
  InstanceFlags instance;
  PolicyFlags policies;
  TraceRunOptions options;
  bool json = false;
};

VerbResult run(const RunFlags& flags) {
  KVPLACE_ASSIGN(texts, flags.policies.texts(flags.instance));
  KVPLACE_ASSIGN(trace, flags.trace.open(&flags.instance));
  KVPLACE_ASSIGN(instance, flags.instance.instance(trace));
  KVPLACE_ASSIGN(policies, named_policies(texts, trace.meta(), instance));
  if (texts.empty()) {
    KVPLACE_ASSIGN(kvplace, PolicyRegistry::instance().parse("kvplace"));
    policies = {kvplace};
  }
  KVPLACE_ASSIGN(runs, run_trace(trace, instance, policies, flags.options, run_context(flags.instance.threads())));
  const bool complete = runs.runs.size() == policies.size() && runs.runs.back().complete;
  return print_result(flags.json ? to_json(runs, instance) + "\n" : describe(trace, instance) + "\n" + table(runs), {},
                      complete ? kDone : kLimitReached);
}

}  // namespace

void add_run(App& app) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App* verb = app.add_verb("run", "A trace with real pages in two real memories, measured beside the prediction",
                                [flags] { return run(*flags); });
  flags->trace.add_optional_to(*verb);
  flags->policies.add_to(*verb, "those of `--config`, else `kvplace`");
  verb->add_option("--far", flags->options.far,
                   "far memory: `file:PATH`, `paced:2GB/s`, `numa:1` or `dram` (docs/runtime.md)")
      ->required()
      ->type_name("MEMORY");
  verb->add_option("--decode-steps", flags->options.steps, "decode steps that are run, the first of the trace")
      ->default_str("all")
      ->type_name("N");
  flags->instance.add_to(*verb);
  add_quiet_flag(*verb);
  add_json_flag(*verb, flags->json);
}

}  // namespace kvplace::cli
