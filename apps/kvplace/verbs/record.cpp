#include "kvplace/record/record.h"

#include <fmt/core.h>

#include <cstdlib>
#include <memory>

#include "app.h"
#include "http/http_client.h"
#include "import_text.h"
#include "kvplace/base/measure.h"
#include "kvplace/base/parse.h"
#include "value_words.h"

namespace kvplace::cli {
namespace {

struct RecordFlags {
  ServerAddress server;
  std::string timeout = "3600s";
  std::string max_tokens = "512";
  std::string block_tokens;
  std::string experts;
  std::string layers;
  RecordOptions options;
};

Result<std::uint32_t> count(const std::string& flag, const std::string& text) {
  const Result<std::uint64_t> value = parse_count(text);
  if (!value || *value == 0 || *value > 0xffffffffu) {
    return bad_input(flag + ": " + in_quotes(text) + " is not a whole number of 1 to 2^32 - 1");
  }
  return static_cast<std::uint32_t>(*value);
}

Status set_count(const std::string& flag, const std::string& text, std::optional<std::uint32_t>& to) {
  if (!text.empty()) {
    KVPLACE_ASSIGN(value, count(flag, text));
    to = value;
  }
  return {};
}

VerbResult run(RecordFlags& flags) {
  RecordOptions& options = flags.options;
  KVPLACE_ASSIGN(max_tokens, count("--max-tokens", flags.max_tokens));
  options.max_tokens = max_tokens;
  KVPLACE_TRY(set_count("--block-tokens", flags.block_tokens, options.import.block_tokens));
  KVPLACE_TRY(set_count("--experts", flags.experts, options.import.experts));
  KVPLACE_TRY(set_count("--layers", flags.layers, options.import.layers));
  const Result<Seconds> timeout = parse_seconds(flags.timeout);
  if (!timeout || timeout->value() < 1) {
    return bad_input("--timeout: " + (timeout ? "it is at least 1 s" : timeout.error().message));
  }
  flags.server.timeout = *timeout;
  if (const char* key = std::getenv("KVPLACE_API_KEY"); key != nullptr) {
    flags.server.key = key;
  }
  const RunContext context = run_context(1);
  KVPLACE_ASSIGN(http, connect(flags.server, context));
  const auto tell = [](const Recorded& recorded) -> Status {
    KVPLACE_TRY(print(fmt::format("prompt {}: {}\n", recorded.prompt, recorded.summary.taken)));
    return print(import_text(recorded.path, recorded.summary));
  };
  KVPLACE_ASSIGN(summary, record(options, *http, tell, context));
  remark_on_model(options.import.model);
  if (summary.before > 0) {
    KVPLACE_TRY(print(fmt::format("recorded before: {} of {} prompts\n", summary.before, summary.prompts)));
  }
  for (const RefusedPrompt& refused : summary.refused) {
    remark(fmt::format("prompt {}: {}", refused.prompt, refused.reason));
  }
  if (!summary.refused.empty()) {
    return failed(fmt::format("{} of {} prompts are not recorded; the same command tries them again",
                              summary.refused.size(), summary.prompts));
  }
  return kDone;
}

}  // namespace

void add_record(App& app) {
  auto flags = std::make_shared<RecordFlags>();
  CLI::App* verb = app.add_verb("record", "Make traces (.kvt) of what a running server's indexers and routers choose",
                                [flags] { return run(*flags); });
  verb->add_option("engine", flags->options.engine, "what the server is")
      ->required()
      ->type_name(alternatives(record_engines()));
  verb->add_option("--url", flags->server.url, "its address, as `http://127.0.0.1:30000`")
      ->required()
      ->type_name("URL");
  reads_file(verb->add_option("--prompts", flags->options.prompts,
                              "JSON lines of prompts, or a text that is one prompt as a whole"))
      ->required();
  app.add_output(*verb, "-o,--out", flags->options.out,
                 "trace to write; of several prompts T.kvt stands for `T-0.kvt`, `T-1.kvt`, ...")
      ->required();
  verb->add_option("--max-tokens", flags->max_tokens, "decode steps of a prompt at most")
      ->default_str("512")
      ->type_name("N");
  verb->add_option("--sampling", flags->options.sampling,
                   "further sampling parameters in the engine's names, as `{\"temperature\": 0.6}`")
      ->type_name("JSON");
  verb->add_option("--timeout", flags->timeout, "how long to wait for an answer")
      ->default_str("3600s")
      ->type_name("TIME");
  verb->add_option("--experts", flags->experts, "take what the routers chose; experts of a layer")->type_name("N");
  verb->add_option("--layers", flags->layers, "layers of an array whose shape does not say it")
      ->default_str("those of `--model`")
      ->type_name("N");
  verb->add_option("--block-tokens", flags->block_tokens, "tokens that an id of the indexer stands for")
      ->default_str("1, or what the ids show")
      ->type_name("N");
  verb->add_option("--model", flags->options.import.model,
                   "model preset, kept in the metadata; verbs use it if none is named")
      ->type_name("MODEL");
  add_quiet_flag(*verb);
}

}  // namespace kvplace::cli
