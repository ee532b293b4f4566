#include <fmt/core.h>

#include <memory>

#include "app.h"
#include "import_text.h"
#include "kvplace/base/measure.h"
#include "kvplace/base/parse.h"
#include "kvplace/generate/import_requests.h"
#include "kvplace/trace/formats.h"
#include "value_words.h"

namespace kvplace::cli {
namespace {

struct ImportFlags {
  std::vector<std::string> sources;
  std::string out;
  std::string format;
  std::string prompt_tokens;
  std::string prompt_rows;
  std::string read_k;
  std::string block_tokens;
  std::string experts;
  std::string layers;
  std::string block_bytes;
  ImportOptions options;
};

std::vector<std::string> imported_formats() {
  std::vector<std::string> names;
  for (const Format& format : FormatRegistry::instance().formats()) {
    if (format.import_trace != nullptr) {
      names.push_back(format.name);
    }
  }
  return names;
}

Result<std::optional<std::uint32_t>> optional_count(const std::string& flag, const std::string& text) {
  if (text.empty()) {
    return std::nullopt;
  }
  const Result<std::uint64_t> value = parse_count(text);
  if (!value || *value > 0xffffffffu) {
    return bad_input(flag + ": " + in_quotes(text) + " is not a whole number of 0 to 2^32 - 1");
  }
  return static_cast<std::uint32_t>(*value);
}

/// The format that is named; else records, if their columns are; else what the first file's content shows.
Result<const Format*> format_of(const ImportFlags& flags) {
  const FormatRegistry& registry = FormatRegistry::instance();
  if (!flags.format.empty()) {
    return registry.find(flags.format);
  }
  return flags.options.columns.empty() ? registry.recognise(flags.sources.front()) : registry.find("records");
}

VerbResult run(const ImportFlags& flags) {
  ImportOptions options = flags.options;
  KVPLACE_ASSIGN(prompt_tokens, optional_count("--prompt-tokens", flags.prompt_tokens));
  KVPLACE_ASSIGN(read_k, optional_count("--read", flags.read_k));
  KVPLACE_ASSIGN(prompt_rows, optional_count("--prompt-rows", flags.prompt_rows));
  KVPLACE_ASSIGN(block_tokens, optional_count("--block-tokens", flags.block_tokens));
  KVPLACE_ASSIGN(experts, optional_count("--experts", flags.experts));
  KVPLACE_ASSIGN(layers, optional_count("--layers", flags.layers));
  options.prompt_tokens = prompt_tokens;
  options.prompt_rows = prompt_rows;
  options.read_k = read_k;
  options.block_tokens = block_tokens;
  options.experts = experts;
  options.layers = layers;
  if (!flags.block_bytes.empty()) {
    const Result<Bytes> block_bytes = parse_bytes_of("--block-bytes", flags.block_bytes);
    if (!block_bytes || block_bytes->value() == 0) {
      return bad_input("--block-bytes: " +
                       (block_bytes ? "a block has at least one byte" : block_bytes.error().message));
    }
    options.block_bytes = *block_bytes;
  }
  KVPLACE_ASSIGN(format, format_of(flags));
  if (format->import_trace == nullptr) {
    return bad_input("--format " + format->name + " can be exported, not imported");
  }
  KVPLACE_ASSIGN(summary, import_requests(*format, flags.sources, flags.out, options, run_context(1)));
  remark_on_model(options.model);
  if (flags.format.empty() || !summary.taken.empty()) {
    KVPLACE_TRY(print(fmt::format("{}: {}{}{}\n", summary.meta.source, format->name, summary.taken.empty() ? "" : "; ",
                                  summary.taken)));
  }
  KVPLACE_TRY(print(import_text(flags.out, summary)));
  return kDone;
}

}  // namespace

void add_import(App& app) {
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* verb = app.add_verb("import", "Make a trace (.kvt) of foreign files, plain, .zst or .gz",
                                [flags] { return run(*flags); });
  reads_file(verb->add_option("sources", flags->sources, "files, in order; a further file continues the trace"))
      ->required();
  app.add_output(*verb, "-o,--out", flags->out, "trace to write")->required();
  verb->add_option("--format", flags->format, "what the files are (`kvplace list formats`)")
      ->type_name(alternatives(imported_formats()))
      ->default_str("found by content");
  verb->add_option("--block-tokens", flags->block_tokens, "tokens of a KV page, 1 to 2^28")
      ->default_str("1, or what the ids show")
      ->type_name("N");
  verb->add_option("--prompt-tokens", flags->prompt_tokens, "tokens before the first decode step")
      ->default_str("the file's, or the least that lets every block exist when it is read")
      ->type_name("N");
  verb->add_option("--prompt-rows", flags->prompt_rows, "arrays: rows of the prompt at the head, which are left out")
      ->default_str("what the ids show")
      ->type_name("N");
  verb->add_option("--experts", flags->experts, "experts of a layer; of an array: its ids are experts")->type_name("N");
  verb->add_option("--layers", flags->layers, "layers of an array whose shape does not say it")->type_name("N");
  verb->add_option("--request", flags->options.request, "the request to take from files that hold several")
      ->type_name("NAME");
  verb->add_option("--columns", flags->options.columns,
                   "`records`: names of what is in a row, as `request=NAME,layer=NAME,step=NAME,blocks=NAME`")
      ->type_name("NAMES");
  verb->add_option("--read", flags->read_k, "arrays: ids are a ranking, best first, of which the first K were read")
      ->default_str("all ids were read")
      ->type_name("K");
  verb->add_option("--block-bytes", flags->block_bytes, "bytes of a KV page, kept in the metadata")->type_name("SIZE");
  verb->add_option("--model", flags->options.model, "model preset, kept in the metadata; verbs use it if none is named")
      ->type_name("MODEL");
  verb->add_option("--selection", flags->options.selection,
                   "how blocks were selected, for people; kept in the metadata");
  verb->add_option("--zstd-level", flags->options.writer.zstd_level, "1 to 19; changes size and speed only")
      ->default_str("3")
      ->type_name("N")
      ->check(CLI::Range(1, 19));
  add_quiet_flag(*verb);
}

}  // namespace kvplace::cli
