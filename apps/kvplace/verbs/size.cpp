#include "kvplace/size/size.h"

#include <memory>

#include "app.h"
#include "flag_value.h"
#include "instance_flags.h"
#include "kvplace/base/parse.h"
#include "kvplace/simulate/compare.h"
#include "kvplace/size/report.h"
#include "size_text.h"
#include "tables.h"

namespace kvplace::cli {
namespace {

struct SizeFlags {
  TraceFlags trace;
  InstanceFlags instance;
  PolicyFlags policies;
  SizeOptions options;
  std::string target;
  std::string find;
  std::string time_limit;
  bool json = false;
};

VerbResult run(SizeFlags& flags) {
  SizeOptions& options = flags.options;
  KVPLACE_ASSIGN(target, parse_target(flags.target));
  options.target = target;
  if (!flags.find.empty()) {
    if (target.kind == SizeTarget::Kind::kCost) {
      return bad_input("a cost as target divides the money between near capacity and link: --find does not apply");
    }
    KVPLACE_ASSIGN(find, parse_find(flags.find));
    options.find = find;
  }
  if (!flags.time_limit.empty()) {
    KVPLACE_ASSIGN(time_limit, of_flag("--time-limit", parse_seconds(flags.time_limit)));
    options.time_limit = time_limit;
  }
  KVPLACE_ASSIGN(texts, flags.policies.texts(flags.instance));
  KVPLACE_ASSIGN(trace, flags.trace.open(&flags.instance));
  KVPLACE_ASSIGN(instance, flags.instance.instance(trace));
  if (texts.empty()) {
    options.policies = default_size_policies(options.find);
  } else {
    KVPLACE_ASSIGN(policies, named_policies(texts, trace.meta(), instance));
    options.policies = std::move(policies);
  }
  KVPLACE_ASSIGN(result, find_size(trace, instance, options, run_context(flags.instance.threads())));
  KVPLACE_TRY(print(flags.json ? to_json(result, trace, instance) + "\n"
                               : describe(trace, instance) + "\n" + table(result, trace, instance)));
  return result.status == SizeStatus::kComplete ? kDone : kLimitReached;
}

}  // namespace

void add_size(App& app) {
  auto flags = std::make_shared<SizeFlags>();
  CLI::App* verb = app.add_verb("size", "What must be bought or set to reach a speed", [flags] { return run(*flags); });
  flags->trace.add_optional_to(*verb, "refused: a truncated trace has no digest that a bound could be proven for");
  flags->trace.add_workload_to(*verb);
  SizeOptions& options = flags->options;
  verb->add_option("--target", flags->target,
                   "what is to be reached: `120tokens/s`, `90%` (of the all-near speed) or `cost=500`")
      ->type_name("TARGET")
      ->required();
  verb->add_option("--find", flags->find,
                   "what is searched for: `near-capacity`, `buffer` (blocks per layer), `link` or `batch`")
      ->default_str("`near-capacity`")
      ->type_name("near-capacity|buffer|link|batch");
  flags->policies.add_to(*verb, "those of `--config`, else `lru`, `lru-global` and, if it suits, `kvplace`");
  flags->instance.add_to(*verb);
  verb->add_flag("--crossover", options.crossover, "also from which batch on tiering is faster than all KV near");
  verb->add_option("--price-near", options.price_near_per_gib, "of a GiB of near memory; for a cost as target")
      ->type_name("PRICE");
  verb->add_option("--price-link", options.price_link_per_gb_s, "of a GB/s of link; for a cost as target")
      ->type_name("PRICE");
  verb->add_option("--tolerance", options.tolerance, "of the value found, relative, 1e-6 to below 1")
      ->default_str("0.001")
      ->type_name("SHARE");
  verb->add_option("--time-limit", flags->time_limit,
                   "of everything, like `60s`; after it the brackets so far are printed")
      ->default_str("`300s`")
      ->type_name("TIME");
  add_quiet_flag(*verb);
  add_json_flag(*verb, flags->json);
}

}  // namespace kvplace::cli
