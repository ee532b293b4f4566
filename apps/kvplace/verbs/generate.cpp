#include "kvplace/generate/generate.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "app.h"
#include "kvplace/base/parse.h"
#include "kvplace/base/short_text.h"
#include "kvplace/generate/twin.h"
#include "verdicts.h"

namespace kvplace::cli {
namespace {

using Json = nlohmann::ordered_json;

/// A flag that stands for a setting.
struct Shortcut {
  std::string key;
  std::string doc;
  std::string by_default = "as in the workload or trace";
  std::string text = {};

  [[nodiscard]] std::string flag() const {
    std::string name = "--" + key;
    std::replace(name.begin(), name.end(), '_', '-');
    return name;
  }
};

struct GenerateFlags {
  std::string workload;
  std::string like;
  std::string out;
  std::string save_config;
  std::vector<Shortcut> shortcuts{
      {"prompt_tokens", "tokens before the first decode step"},
      {"layers", "layers"},
      {"steps", "decode steps"},
      {"tokens_per_step", "tokens decoded in a step, which reads what any of them does", "1, or as in the workload"},
      {"block_tokens", "tokens of a KV page; not with `--like`"},
      {"ranking_depth", "ids ranked per step and layer; 0 = no rankings"},
      {"seed", "of all random numbers", "0, or the file's"}};
  std::vector<std::string> assignments;
  bool show_config = false;
  bool json = false;
  unsigned threads = 0;
  TraceWriterOptions writer;
};

/// Settings from the flags behind `config`'s own.
Status apply_flags(const GenerateFlags& flags, GeneratorConfig& config) {
  for (const Shortcut& shortcut : flags.shortcuts) {
    if (!shortcut.text.empty()) {
      const std::string flag = shortcut.flag();
      if (Status status = apply_generator_entry({shortcut.key, shortcut.text, "generate"}, config); !status) {
        return bad_input(flag + status.error().message.substr(std::string("generate: ").size() + shortcut.key.size()));
      }
    }
  }
  for (const std::string& assignment : flags.assignments) {
    KVPLACE_ASSIGN(entry, parse_assignment(assignment));
    KVPLACE_TRY(apply_generator_entry(entry, config));
  }
  return {};
}

std::string summary(const std::string& out, const TraceTotals& totals, std::uint32_t layers) {
  return fmt::format("{}: {} decode steps, {} layers, {} reads, {} blocks per layer\n", out, with_commas(totals.steps),
                     layers, with_commas(totals.reads), with_commas(totals.blocks_per_layer));
}

VerbResult run_workload(const GenerateFlags& flags) {
  KVPLACE_ASSIGN(config, load_generator(flags.workload));
  KVPLACE_TRY(apply_flags(flags, config));
  KVPLACE_TRY(validate(config, flags.workload));
  if (flags.show_config) {
    KVPLACE_TRY(print("# kvplace generate FILE.toml makes this trace again\n" + to_toml(config)));
    return kDone;
  }
  if (flags.out.empty()) {
    return bad_input("generate: -o names the trace to write");
  }
  KVPLACE_ASSIGN(totals, generate_trace(config, flags.out, flags.writer, run_context(flags.threads)));
  if (flags.json) {
    const Json json{{"layers", config.layers},
                    {"steps", totals.steps},
                    {"reads", totals.reads},
                    {"blocks", totals.blocks_per_layer},
                    {"digest", totals.digest}};
    KVPLACE_TRY(print(json.dump(2) + "\n"));
    return kDone;
  }
  KVPLACE_TRY(print(summary(flags.out, totals, config.layers)));
  return kDone;
}

double deviation(double original, double twin) { return original > 0 ? twin / original - 1 : 0; }

/// One line of the fit: pooled figures, and how far the layers are off: the median and the most.
std::string fit_line(const std::string& what, double original, double twin, std::vector<double> by_layer) {
  std::string out =
      fmt::format("  {:<24}{:>10.5f}{:>10.5f}{:>+9.1f} %", what, original, twin, 100 * deviation(original, twin));
  if (!by_layer.empty()) {
    for (double& d : by_layer) {
      d = std::abs(d);
    }
    std::sort(by_layer.begin(), by_layer.end());
    out += fmt::format("{:>12.1f} %{:>8.1f} %", 100 * by_layer[by_layer.size() / 2], 100 * by_layer.back());
  }
  return out + "\n";
}

std::string fit_table(const TwinReport& report) {
  std::string out = fmt::format(
      "The twin was fitted to {} decode steps; k is their mean number of reads per step and layer, {:.1f}.\n",
      with_commas(report.steps), report.k);
  out += fmt::format("  {:<24}{:>31}{:>24}\n", "", "share of reads, over all layers", "off by, layer by layer");
  out += fmt::format("  {:<24}{:>10}{:>10}{:>11}{:>14}{:>10}\n", "", "original", "twin", "off by", "median layer",
                     "worst");
  const auto add = [&](const std::string& what, auto figure) {
    std::vector<double> by_layer;
    for (std::size_t layer = 0; layer < report.original_by_layer.size(); ++layer) {
      by_layer.push_back(deviation(figure(report.original_by_layer[layer]), figure(report.twin_by_layer[layer])));
    }
    out += fit_line(what, figure(report.original), figure(report.twin), std::move(by_layer));
  };
  add("overlap", [](const LocalityFigures& f) { return f.overlap; });
  out += fit_line("  across layers", report.original_across_layers, report.twin_across_layers, {});
  for (std::size_t i = 0; i < report.lru_multiples.size(); ++i) {
    add(fmt::format("LRU misses at {:g} k", report.lru_multiples[i]),
        [i](const LocalityFigures& f) { return f.lru[i]; });
  }
  for (std::size_t i = 0; i < report.lru_multiples.size(); ++i) {
    out += fit_line(fmt::format("  over all layers {:g} k", report.lru_multiples[i]), report.original_pooled[i],
                    report.twin_pooled[i], {});
  }
  add("Belady misses at 2 k", [](const LocalityFigures& f) { return f.belady; });
  for (std::size_t i = 0; i < report.original.reuse.size(); ++i) {
    const std::uint64_t from = std::uint64_t{1} << i;
    const auto share = [i](const LocalityFigures& f) { return i < f.reuse.size() ? f.reuse[i] : 0; };
    out += fit_line(i == 0 ? "read 1 step ago" : fmt::format("  {} to {} steps ago", from, 2 * from - 1),
                    share(report.original), share(report.twin), {});
  }
  return out + twin_verdict(report);
}

Result<std::optional<std::uint32_t>> shape_field(const GenerateFlags& flags, std::string_view key) {
  const auto shortcut =
      std::find_if(flags.shortcuts.begin(), flags.shortcuts.end(), [&](const Shortcut& s) { return s.key == key; });
  if (shortcut->text.empty()) {
    return std::nullopt;
  }
  const Result<std::uint64_t> value = parse_count(shortcut->text);
  constexpr std::uint64_t kMost = std::uint64_t{1} << 28;
  if (!value || *value > kMost) {
    return bad_input(shortcut->flag() + ": " + in_quotes(shortcut->text) + " is not a whole number of 0 to 2^28");
  }
  return static_cast<std::uint32_t>(*value);
}

VerbResult run_twin(const GenerateFlags& flags) {
  if (!flags.workload.empty() || !flags.assignments.empty() || flags.show_config) {
    return bad_input(
        "generate: --like takes its settings from the trace; leave out the workload, --set and --show-config");
  }
  TwinShape shape;
  KVPLACE_ASSIGN(prompt_tokens, shape_field(flags, "prompt_tokens"));
  KVPLACE_ASSIGN(layers, shape_field(flags, "layers"));
  KVPLACE_ASSIGN(steps, shape_field(flags, "steps"));
  KVPLACE_ASSIGN(ranking_depth, shape_field(flags, "ranking_depth"));
  KVPLACE_ASSIGN(seed, shape_field(flags, "seed"));
  KVPLACE_ASSIGN(tokens_per_step, shape_field(flags, "tokens_per_step"));
  KVPLACE_ASSIGN(block_tokens, shape_field(flags, "block_tokens"));
  if (block_tokens) {
    return bad_input("generate: --like keeps the block tokens of the trace; leave out --block-tokens");
  }
  shape.prompt_tokens = prompt_tokens;
  shape.layers = layers;
  shape.steps = steps;
  shape.ranking_depth = ranking_depth;
  shape.seed = seed.value_or(0);
  shape.tokens_per_step = tokens_per_step.value_or(1);
  KVPLACE_ASSIGN(trace, TraceReader::open(flags.like));
  if (!flags.out.empty() || !flags.save_config.empty()) {
    KVPLACE_TRY(check_twin(trace, shape));
  }
  KVPLACE_ASSIGN(twin, Twin::fit(trace, run_context(flags.threads)));
  Json json = Json::parse(to_json(twin.report()));
  std::string text = fit_table(twin.report());
  // The fit is told whatever becomes of the files.
  Status written;
  if (!flags.save_config.empty()) {
    const GeneratorConfig config = twin.config(shape);
    written = validate(config, flags.save_config).and_then([&] { return save_generator(config, flags.save_config); });
  }
  if (written && !flags.out.empty()) {
    const auto totals = twin.write(shape, flags.out, flags.writer, run_context(flags.threads));
    if (totals) {
      json["digest"] = totals->digest;
      text += summary(flags.out, *totals, layers.value_or(trace.meta().layers));
    } else {
      written = tl::unexpected(totals.error());
    }
  }
  return print_result(flags.json ? json.dump(2) + "\n" : text, written, kDone);
}

VerbResult run(const GenerateFlags& flags) {
  if (!flags.like.empty()) {
    return run_twin(flags);
  }
  if (flags.workload.empty()) {
    return bad_input("generate: name a workload (kvplace list generators), a file ending in .toml, or --like a trace");
  }
  if (!flags.save_config.empty()) {
    return bad_input("generate: --save-config keeps the fit of --like; for a workload, --show-config prints settings");
  }
  return run_workload(flags);
}

}  // namespace

void add_generate(App& app) {
  auto flags = std::make_shared<GenerateFlags>();
  CLI::App* verb = app.add_verb("generate", "Make a synthetic trace (.kvt), from a preset or like a real one",
                                [flags] { return run(*flags); });
  verb->add_option(
          "workload", flags->workload,
          "preset (`kvplace list generators`), or a file: its name ends in `.toml` or contains a `/`; this or `--like`")
      ->type_name("WORKLOAD|FILE");
  reads_file(
      verb->add_option("--like", flags->like, "fit to this trace instead, and print the fit; without `-o` only that"));
  app.add_output(*verb, "-o,--out", flags->out, "trace to write");
  app.add_output(*verb, "--save-config", flags->save_config,
                 "with `--like`: write the fit as settings (`.toml`); as a workload they make the same trace");
  for (Shortcut& shortcut : flags->shortcuts) {
    verb->add_option(shortcut.flag(), shortcut.text, shortcut.doc)->default_str(shortcut.by_default)->type_name("N");
  }
  verb->add_option("--set", flags->assignments,
                   "any setting (`--show-config` prints all); repeatable; not with `--like`")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  verb->add_flag("--show-config", flags->show_config,
                 "print the settings as TOML and stop; the file makes the same trace");
  verb->add_option("--zstd-level", flags->writer.zstd_level, "1 to 19; changes size and speed only")
      ->default_str("3")
      ->type_name("N")
      ->check(CLI::Range(1, 19));
  add_json_flag(*verb, flags->json);
  add_threads_flag(*verb, flags->threads);
  add_quiet_flag(*verb);
}

}  // namespace kvplace::cli
