#include <memory>

#include "app.h"
#include "instance_flags.h"
#include "kvplace/simulate/compare.h"
#include "page_words.h"

namespace kvplace::cli {
namespace {

struct ShowConfigFlags {
  TraceFlags trace;
  InstanceFlags instance;
  PolicyFlags policies;
};

VerbResult run(const ShowConfigFlags& flags) {
  KVPLACE_ASSIGN(texts, flags.policies.texts(flags.instance));
  std::vector<PolicySpec> policies;
  std::string source;
  TraceMeta meta;
  KVPLACE_ASSIGN(path, flags.trace.path(&flags.instance));
  std::string head = path.empty() ? "# kvplace compare TRACE --config FILE runs this on a trace\n"
                                  : "# kvplace compare --config FILE runs this again\n";
  if (!path.empty()) {
    KVPLACE_ASSIGN(trace, flags.trace.open(&flags.instance));
    KVPLACE_ASSIGN(instance, flags.instance.instance(trace));
    meta = trace.meta();
    KVPLACE_ASSIGN(named, named_policies(texts, meta, instance));
    policies = std::move(named);
    if (!instance.share().layers_are.empty()) {
      head += "# the trace's layers: " + instance.share().layers_are + "\n";
    }
    source = trace.path();
  }
  for (std::size_t i = 0; path.empty() && i < texts.size(); ++i) {
    KVPLACE_ASSIGN(policy, PolicyRegistry::instance().parse(texts[i]));
    policies.push_back(std::move(policy));
  }
  KVPLACE_ASSIGN(spec, flags.instance.spec(meta));
  KVPLACE_TRY(validate(spec.hardware, "hardware"));
  if (spec.model) {
    KVPLACE_TRY(validate(*spec.model, "model"));
  }
  KVPLACE_TRY(print(head + config_text(source, policies, spec)));
  return kDone;
}

}  // namespace

void add_show_config(App& app) {
  auto flags = std::make_shared<ShowConfigFlags>();
  CLI::App* verb = app.add_verb("show-config", "The resolved configuration as TOML; it runs again with --config",
                                [flags] { return run(*flags); });
  flags->trace.add_optional_to(*verb);
  flags->policies.add_to(*verb, "those of `--config`, with a trace else what `compare` would run");
  flags->instance.add_to(*verb);
}

}  // namespace kvplace::cli
