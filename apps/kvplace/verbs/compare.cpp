#include "kvplace/simulate/compare.h"

#include <memory>

#include "app.h"
#include "instance_flags.h"
#include "kvplace/simulate/report.h"
#include "page_words.h"
#include "tables.h"

namespace kvplace::cli {
namespace {

struct CompareFlags {
  TraceFlags trace;
  InstanceFlags instance;
  PolicyFlags policies;
  CompareOptions options;
  std::string html;
  bool json = false;
};

VerbResult run(CompareFlags& flags) {
  KVPLACE_ASSIGN(texts, flags.policies.texts(flags.instance));
  KVPLACE_ASSIGN(trace, flags.trace.open(&flags.instance));
  KVPLACE_ASSIGN(instance, flags.instance.instance(trace));
  KVPLACE_ASSIGN(policies, named_policies(texts, trace.meta(), instance));
  flags.options.policies = std::move(policies);
  KVPLACE_ASSIGN(comparison, make_comparison(trace, instance, flags.options, run_context(flags.instance.threads())));
  if (comparison.outputs) {
    std::string words = flags.trace.workload_words();
    words += std::string(words.empty() || !flags.options.bound ? "" : " ") + (flags.options.bound ? "--bound" : "");
    comparison.outputs =
        write_page_of(flags.html, comparison, trace, instance, {"compare", words, flags.options.policies});
  }
  const bool proof_complete =
      comparison.covering() == nullptr || comparison.covering()->status == SearchStatus::kConverged;
  return print_result(flags.json ? to_json(comparison, instance) + "\n"
                                 : describe(trace, instance) + "\n" + table(comparison, instance, terminal_width()),
                      comparison.outputs, comparison.complete && proof_complete ? kDone : kLimitReached);
}

}  // namespace

void add_compare(App& app) {
  auto flags = std::make_shared<CompareFlags>();
  CLI::App* verb = app.add_verb("compare", "What each placement policy costs on a trace and a machine",
                                [flags] { return run(*flags); });
  flags->trace.add_optional_to(*verb);
  flags->trace.add_workload_to(*verb);
  flags->policies.add_to(*verb, "those of `--config`, else the first table of docs/policies.md but `sa` and `planned`");
  flags->instance.add_to(*verb);
  app.add_output(*verb, "--schedule-out", flags->options.schedule_path,
                 "store the one policy's decisions as a schedule (`.kvs`)");
  app.add_output(*verb, "--html", flags->html, "also a page to look at and to send (`.html`), of what is compared");
  verb->add_flag("--bound", flags->options.bound, "also prove a lower bound, and show how far each policy is above it");
  add_quiet_flag(*verb);
  add_json_flag(*verb, flags->json);
}

}  // namespace kvplace::cli
