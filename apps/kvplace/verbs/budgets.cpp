#include "kvplace/size/budgets.h"

#include <memory>

#include "app.h"
#include "instance_flags.h"
#include "kvplace/size/report.h"
#include "size_text.h"
#include "tables.h"

namespace kvplace::cli {
namespace {

struct BudgetsFlags {
  std::vector<std::string> traces;
  std::vector<std::string> held_out;
  InstanceFlags instance;
  std::string total;
  std::string policy = "lru";
  std::uint32_t least_blocks = 0;
  std::string output;
  bool json = false;
};

/// Traces with their instances.
struct Opened {
  std::vector<TraceReader> traces;
  std::vector<Instance> instances;

  [[nodiscard]] std::vector<BudgetTrace> all() const {
    std::vector<BudgetTrace> list;
    for (std::size_t i = 0; i < traces.size(); ++i) {
      list.push_back({&traces[i], &instances[i]});
    }
    return list;
  }
};

Result<Opened> open_all(const std::vector<std::string>& paths, const BudgetsFlags& flags) {
  Opened opened;
  for (const std::string& path : paths) {
    KVPLACE_ASSIGN(trace, TraceReader::open(path));
    KVPLACE_ASSIGN(instance, flags.instance.instance(trace));
    opened.traces.push_back(std::move(trace));
    opened.instances.push_back(std::move(instance));
  }
  return opened;
}

VerbResult run(BudgetsFlags& flags) {
  BudgetOptions options;
  KVPLACE_ASSIGN(policy, PolicyRegistry::instance().parse(flags.policy));
  options.policy = std::move(policy);
  options.least_blocks = flags.least_blocks;
  if (!flags.output.empty()) {
    KVPLACE_TRY(check_layer_budgets_name(flags.output));
  }
  if (!flags.total.empty()) {
    flags.instance.set("options.near_capacity", flags.total, "--total");
  }
  KVPLACE_ASSIGN(opened, open_all(flags.traces, flags));
  KVPLACE_ASSIGN(held_out, open_all(flags.held_out, flags));
  const std::vector<BudgetTrace> traces = opened.all();
  KVPLACE_ASSIGN(budgets, find_budgets(traces, held_out.all(), options, run_context(flags.instance.threads())));
  const Status written = flags.output.empty() ? Status() : write_layer_budgets(flags.output, budgets, traces.front());
  return print_result(
      flags.json ? to_json(budgets, traces.front()) + "\n"
                 : describe(*traces.front().trace, *traces.front().instance) + "\n" + table(budgets, traces.front()),
      written, kDone);
}

}  // namespace

void add_budgets(App& app) {
  auto flags = std::make_shared<BudgetsFlags>();
  CLI::App* verb = app.add_verb("budgets", "The best fixed near capacity of each layer, from traces of a model",
                                [flags] { return run(*flags); });
  reads_file(verb->add_option("traces", flags->traces,
                              "traces (`.kvt`) of one model and block size; name them before `--held-out`"))
      ->required();
  reads_file(verb->add_option("--held-out", flags->held_out, "traces that the budgets are only checked on"));
  flags->instance.add_to(*verb);
  verb->add_option("--total", flags->total,
                   "near bytes to divide, for the KV of all requests, like `--near-capacity`: `16GiB`")
      ->default_str("the near capacity of the instance flags")
      ->type_name("SIZE");
  verb->add_option("--policy", flags->policy,
                   "one with a buffer per layer (docs/policies.md); any other is refused with their names")
      ->default_str("`lru`")
      ->type_name("POLICY");
  verb->add_option("--least-blocks", flags->least_blocks,
                   "no layer gets less; engines need room for what one step reads")
      ->default_str("0")
      ->type_name("N");
  app.add_output(*verb, "-o,--output", flags->output,
                 "the budgets: `.json` (all of the result) or `.toml`, for `--layer-budgets`");
  add_quiet_flag(*verb);
  add_json_flag(*verb, flags->json);
}

}  // namespace kvplace::cli
