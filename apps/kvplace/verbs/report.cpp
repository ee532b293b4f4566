#include "kvplace/report/report.h"

#include <fmt/core.h>

#include <memory>

#include "app.h"
#include "flag_value.h"
#include "instance_flags.h"
#include "kvplace/base/measure.h"
#include "page_words.h"

namespace kvplace::cli {
namespace {

struct ReportFlags {
  TraceFlags trace;
  InstanceFlags instance;
  PolicyFlags policies;
  std::string output;
  std::string time_limit;
  bool json = false;
};

VerbResult run(const ReportFlags& flags) {
  ReportOptions options;
  if (!flags.time_limit.empty()) {
    KVPLACE_ASSIGN(time_limit, of_flag("--time-limit", parse_seconds(flags.time_limit)));
    options.time_limit = time_limit;
  }
  KVPLACE_ASSIGN(texts, flags.policies.texts(flags.instance));
  KVPLACE_ASSIGN(trace, flags.trace.open(&flags.instance));
  KVPLACE_ASSIGN(instance, flags.instance.instance(trace));
  KVPLACE_ASSIGN(policies, named_policies(texts, trace.meta(), instance));
  options.policies = std::move(policies);
  options.given = !texts.empty();
  KVPLACE_ASSIGN(report, make_report(trace, instance, options, run_context(flags.instance.threads())));
  const std::string json = to_json(report, trace, instance);
  const PageOrigin origin{"report", flags.trace.workload_words(),
                          options.given ? options.policies : std::vector<PolicySpec>()};
  const PageWords words = words_of(report.comparison, trace, instance, origin);
  KVPLACE_ASSIGN(page, make_page("report", json, words));
  const Status written = write_page(flags.output, page);
  std::string text = words.asked + "\n";
  for (const std::string& sentence : words.verdict) {
    text += sentence + "\n";
  }
  text += written ? fmt::format("{}: {} figures; open it in a browser\n", flags.output, page.figures.size()) : "";
  return print_result(flags.json ? json + "\n" : text, written, kDone);
}

}  // namespace

void add_report(App& app) {
  auto flags = std::make_shared<ReportFlags>();
  CLI::App* verb =
      app.add_verb("report", "The answer as one file to look at and to send", [flags] { return run(*flags); });
  flags->trace.add_optional_to(*verb);
  flags->trace.add_workload_to(*verb);
  flags->policies.add_to(*verb,
                         "those of `--config`, else as `compare`; then few of them along near capacity and link");
  flags->instance.add_to(*verb);
  app.add_output(*verb, "-o,--output", flags->output, "the page (`.html`)")->required();
  verb->add_option("--time-limit", flags->time_limit,
                   "of the certified bounds along near capacity and link, like `60s`")
      ->default_str("`60s`")
      ->type_name("TIME");
  add_quiet_flag(*verb);
  add_json_flag(*verb, flags->json);
}

}  // namespace kvplace::cli
