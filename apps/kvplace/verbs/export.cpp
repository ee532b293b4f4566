#include <memory>

#include "app.h"
#include "instance_flags.h"
#include "kvplace/trace/formats.h"
#include "value_words.h"

namespace kvplace::cli {
namespace {

struct ExportFlags {
  TraceFlags trace;
  std::string out;
  std::string format;
  ExportOptions options;
};

std::vector<std::string> exported_formats() {
  std::vector<std::string> names;
  for (const Format& format : FormatRegistry::instance().formats()) {
    if (format.export_trace != nullptr) {
      names.push_back(format.name);
    }
  }
  return names;
}

VerbResult run(const ExportFlags& flags) {
  KVPLACE_ASSIGN(format, FormatRegistry::instance().find(flags.format));
  if (format->export_trace == nullptr) {
    return bad_input("--format " + format->name + " can be imported, not exported");
  }
  KVPLACE_ASSIGN(trace, flags.trace.open());
  KVPLACE_TRY(format->export_trace(trace, flags.out, flags.options, run_context(1)));
  return kDone;
}

}  // namespace

void add_export(App& app) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* verb = app.add_verb("export", "Write a trace in a foreign format", [flags] { return run(*flags); });
  flags->trace.add_to(*verb);
  app.add_output(*verb, "-o,--out", flags->out, "file to write; a name in `.zst` or `.gz` compresses")->required();
  verb->add_option("--format", flags->format, "what it is to be (`kvplace list formats`)")
      ->type_name(alternatives(exported_formats()))
      ->required();
  verb->add_flag("--ranking", flags->options.ranking, "`topk-npy`: the rankings instead of the reads");
  add_quiet_flag(*verb);
}

}  // namespace kvplace::cli
