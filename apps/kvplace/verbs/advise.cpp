#include "kvplace/advise/advise.h"

#include <memory>

#include "advise_text.h"
#include "app.h"
#include "flag_value.h"
#include "instance_flags.h"
#include "kvplace/base/measure.h"
#include "kvplace/generate/workload.h"
#include "kvplace/size/target.h"

namespace kvplace::cli {
namespace {

struct AdviseFlags {
  InstanceFlags instance;
  std::string context;
  std::string output;
  std::string trace;
  std::string workload;
  std::string target;
  std::string time_limit;
  bool json = false;
};

VerbResult run(const AdviseFlags& flags) {
  AdviseOptions options;
  std::optional<TraceReader> trace;
  if (!flags.trace.empty()) {
    KVPLACE_ASSIGN(opened, TraceReader::open(flags.trace));
    trace = std::move(opened);
    options.trace = &*trace;
    options.context = trace->meta().layout.prompt_tokens;
    if (!flags.workload.empty()) {
      return bad_input("a trace and --workload are two traces: give one of them");
    }
  }
  if (!flags.context.empty()) {
    KVPLACE_ASSIGN(context, of_flag("--context", parse_tokens(flags.context)));
    options.context = context;
  }
  if (!flags.output.empty()) {
    KVPLACE_ASSIGN(output, of_flag("--output", parse_tokens(flags.output)));
    options.output = output;
  }
  if (!flags.target.empty()) {
    KVPLACE_ASSIGN(target, of_flag("--target", parse_target(flags.target)));
    if (target.kind != SizeTarget::Kind::kTokensPerSecond) {
      return bad_input("--target: is the tokens/s that each request is to get, like 30tokens/s");
    }
    options.target = target.value;
  }
  if (!flags.time_limit.empty()) {
    KVPLACE_ASSIGN(time_limit, of_flag("--time-limit", parse_seconds(flags.time_limit)));
    options.time_limit = time_limit;
  }
  options.workload = flags.workload;
  KVPLACE_ASSIGN(says_gpus, flags.instance.says("options.gpus"));
  options.all_gpus = !says_gpus;
  KVPLACE_ASSIGN(spec, flags.instance.spec(trace ? trace->meta() : TraceMeta()));
  KVPLACE_ASSIGN(advice, advise(spec, options, run_context(flags.instance.threads())));
  KVPLACE_TRY(print(flags.json ? to_json(advice) + "\n" : advise_text(advice)));
  return advice.complete ? kDone : kLimitReached;
}

}  // namespace

void add_advise(App& app) {
  auto flags = std::make_shared<AdviseFlags>();
  CLI::App* verb = app.add_verb("advise", "From a deployment to an answer: what fits, how fast, what to set and buy",
                                [flags] { return run(*flags); });
  verb->add_option("--context", flags->context, "tokens of a request before it is decoded, like `64K`")
      ->default_str("that of `--trace`, else required")
      ->type_name("TOKENS");
  verb->add_option("--output", flags->output, "tokens that are decoded, like `4K`")
      ->default_str("`1K`")
      ->type_name("TOKENS");
  reads_file(verb->add_option("--trace", flags->trace, "what a request reads (`.kvt`), in a workload's place"));
  verb->add_option("--workload", flags->workload, "`dense`, `dsa`, `quest`, or a preset of docs/generators.md")
      ->default_str("`dsa` for models that select tokens, else `dense`")
      ->type_name("dense|dsa|quest|WORKLOAD");
  verb->add_option("--target", flags->target, "tokens/s that each request is to get, like `30tokens/s`")
      ->type_name("RATE");
  flags->instance.add_to(*verb);
  verb->add_option("--time-limit", flags->time_limit, "of bounds and of what is varied, like `50s`")
      ->default_str("`50s`")
      ->type_name("TIME");
  add_quiet_flag(*verb);
  add_json_flag(*verb, flags->json);
}

}  // namespace kvplace::cli
