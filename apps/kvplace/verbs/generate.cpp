#include "kvplace/generate/generate.h"

#include <fmt/core.h>

#include <memory>

#include "app.h"
#include "format.h"
#include "kvplace/base/parse.h"

namespace kvplace::cli {
namespace {

struct GenerateFlags {
  std::string workload;
  std::string out;
  std::vector<std::pair<std::string, std::string>> shortcuts;  ///< key of a setting, value given
  std::vector<std::string> assignments;
  bool show_config = false;
  unsigned threads = 0;
  TraceWriterOptions writer;
};

Result<GeneratorConfig> resolve(const GenerateFlags& flags) {
  if (flags.workload.empty()) {
    return bad_input("generate: name a workload (kvplace list generators) or a file ending in .toml");
  }
  KVPLACE_ASSIGN(config, load_generator(flags.workload));
  for (const auto& [key, value] : flags.shortcuts) {
    if (!value.empty()) {
      std::string flag = "--" + key;
      std::replace(flag.begin(), flag.end(), '_', '-');
      KVPLACE_TRY(apply_generator_entry({key, value, flag}, config));
    }
  }
  for (const std::string& assignment : flags.assignments) {
    KVPLACE_ASSIGN(entry, parse_assignment(assignment));
    KVPLACE_TRY(apply_generator_entry(entry, config));
  }
  KVPLACE_TRY(validate(config, flags.workload));
  return config;
}

VerbResult run(const GenerateFlags& flags) {
  KVPLACE_ASSIGN(config, resolve(flags));
  if (flags.show_config) {
    KVPLACE_TRY(print("# kvplace generate FILE.toml makes this trace again\n" + to_toml(config)));
    return kDone;
  }
  if (flags.out.empty()) {
    return bad_input("generate: -o names the trace to write");
  }
  KVPLACE_ASSIGN(totals, generate_trace(config, flags.out, flags.writer, run_context(flags.threads)));
  KVPLACE_TRY(print(fmt::format("{}: {} decode steps, {} layers, {} reads, {} blocks per layer, prompt {} tokens\n",
                                flags.out, with_commas(totals.steps), config.layers, with_commas(totals.reads),
                                with_commas(totals.blocks_per_layer), with_commas(config.prompt_tokens))));
  return kDone;
}

}  // namespace

void add_generate(App& app) {
  auto flags = std::make_shared<GenerateFlags>();
  CLI::App* verb = app.add_verb("generate", "Make a synthetic trace (.kvt)", [flags] { return run(*flags); });
  verb->add_option("workload", flags->workload, "preset (kvplace list generators) or a file ending in .toml");
  verb->add_option("-o,--out", flags->out, "trace to write");
  flags->shortcuts = {{"prompt_tokens", ""}, {"layers", ""}, {"steps", ""}, {"block_tokens", ""}, {"seed", ""}};
  const char* const docs[] = {"tokens before the first decode step", "layers", "decode steps", "tokens of a KV page",
                              "of all random numbers (default: 0)"};
  for (std::size_t i = 0; i < flags->shortcuts.size(); ++i) {
    std::string flag = "--" + flags->shortcuts[i].first;
    std::replace(flag.begin(), flag.end(), '_', '-');
    verb->add_option(flag, flags->shortcuts[i].second, docs[i]);
  }
  verb->add_option("--set", flags->assignments, "KEY=VALUE: any setting (--show-config prints all)");
  verb->add_flag("--show-config", flags->show_config, "print the settings as TOML and stop");
  verb->add_option("--zstd-level", flags->writer.zstd_level, "1 to 19 (default: 3)")->check(CLI::Range(1, 19));
  add_threads_flag(*verb, flags->threads);
}

}  // namespace kvplace::cli
