#include "kvplace/generate/config.h"

#include <cmath>
#include <string_view>

#include "base/fields.h"
#include "base/file.h"
#include "base/presets.h"
#include "generate/fit_config.h"

namespace kvplace {
namespace {

/// A number with a range; unlike other fields it is printed even if it is 0, since 0 need not be the default.
template <class V, class Access>
Field<GeneratorConfig> ranged(std::string key, const std::string& doc, double least, double most, Access access) {
  Field<GeneratorConfig> field = make_field<GeneratorConfig>(std::move(key), doc, access);
  field.doc += "; " + format_number(least) + " to " + format_number(most);
  field.set = [access, least, most](GeneratorConfig& config, std::string_view text) -> Status {
    KVPLACE_ASSIGN(value, TextForm<V>::parse(text));
    if (!(static_cast<double>(value) >= least && static_cast<double>(value) <= most)) {
      return bad_input(in_quotes(text) + " is not " + format_number(least) + " to " + format_number(most));
    }
    access(config) = value;
    return {};
  };
  field.get = [access](const GeneratorConfig& config) { return TextForm<V>::format(access(config)); };
  return field;
}

#define KVPLACE_COUNT(path, doc, least, most) \
  ranged<std::uint32_t>(#path, doc, least, most, [](auto& config) -> auto& { return config.path; })
#define KVPLACE_NUMBER(path, doc, least, most) \
  ranged<double>(#path, doc, least, most, [](auto& config) -> auto& { return config.path; })

constexpr double kMostTokens = 1u << 28;

std::vector<Field<GeneratorConfig>> make_fields() {
  return {
      KVPLACE_FIELD(GeneratorConfig, name, "name of the workload"),
      KVPLACE_FIELD(GeneratorConfig, description, "one line"),
      KVPLACE_FIELD(GeneratorConfig, model, "model preset, kept in the trace's metadata"),
      KVPLACE_COUNT(layers, "layers", 1, 65536),
      KVPLACE_COUNT(prompt_tokens, "tokens before the first decode step", 0, kMostTokens),
      KVPLACE_COUNT(steps, "decode steps", 1, kMostTokens),
      KVPLACE_COUNT(tokens_per_step, "tokens of a decode step, which reads what any of them does; all are accepted", 1,
                    65535),
      KVPLACE_COUNT(block_tokens, "tokens of a KV page", 1, kMostTokens),
      KVPLACE_COUNT(ranking_depth, "ids ranked per step and layer; 0 = no rankings", 0, kMostTokens),
      KVPLACE_COUNT(seed, "of all random numbers", 0, 4294967295.0),
      KVPLACE_COUNT(budget.blocks, "pages read per step and layer, or all if fewer; 0 = given by budget.share", 0,
                    kMostTokens),
      KVPLACE_NUMBER(budget.share, "share of the pages there are that is read, rounded", 0, 1),
      KVPLACE_COUNT(parts.sink_tokens, "the first so many tokens are always read", 0, kMostTokens),
      KVPLACE_COUNT(parts.window_tokens, "the newest so many tokens are always read", 0, kMostTokens),
      KVPLACE_COUNT(parts.slash_lines, "pages read at a fixed distance behind the newest token", 0, 4096),
      KVPLACE_NUMBER(parts.slash_steps, "decode steps a line keeps its distance, mean", 1, 1e9),
      KVPLACE_NUMBER(churn.overlap, "share of a step's reads that were read in the step before, mean over layers", 0,
                     1),
      KVPLACE_NUMBER(churn.layer_spread, "sigma of the log-normal factor by which layers differ in 1 - overlap", 0, 4),
      KVPLACE_COUNT(churn.early_layers, "layers, from the first, that have early_overlap instead", 0, 65536),
      KVPLACE_NUMBER(churn.early_overlap, "overlap of the early layers", 0, 1),
      KVPLACE_NUMBER(churn.step_spread, "sigma of the log-normal factor by which steps differ in 1 - overlap", 0, 4),
      KVPLACE_NUMBER(churn.common, "share of that variance which all layers have in common", 0, 1),
      KVPLACE_NUMBER(churn.phase_steps, "mean decode steps between phase shifts; 0 = none", 0, 1e9),
      KVPLACE_NUMBER(churn.phase_share, "share of the reads that a phase shift replaces", 0, 1),
      KVPLACE_NUMBER(heavy.share, "heavy hitters as a share of the pages read; above 1 they compete for places", 0,
                     100),
      KVPLACE_NUMBER(heavy.hold, "how many times less likely a heavy hitter leaves", 1, 1e9),
      KVPLACE_NUMBER(heavy.pull, "how many times more likely a heavy hitter comes in", 1, 1e9),
      KVPLACE_NUMBER(heavy.drift, "chance that a page which leaves is drawn anew: heavy or not", 0, 1),
      KVPLACE_NUMBER(heavy.common, "chance that a page is drawn for all layers at once", 0, 1),
      KVPLACE_NUMBER(reuse.recency, "a page not read for a steps comes back with weight a^-recency", 0, 8),
      KVPLACE_NUMBER(reuse.stickiness, "a page read for r steps leaves with weight r^-stickiness", 0, 8),
      KVPLACE_NUMBER(reuse.fresh, "share of the pages coming in drawn uniformly from all others", 0, 1),
      KVPLACE_NUMBER(reuse.choices,
                     "candidates compared when a page comes in or leaves, by a popularity all layers share", 1, 64),
      KVPLACE_NUMBER(swap.window,
                     "share of the pages, the newest, out of which pages come in; above 0, the oldest pages read leave "
                     "for random ones of it, and no key of parts, churn, heavy and reuse is used",
                     0, 1),
      KVPLACE_NUMBER(swap.least, "share of the pages read that leave in a step, at least", 0, 1),
      KVPLACE_NUMBER(swap.most, "share of the pages read that leave in a step, at most; uniform in between", 0, 1),
      KVPLACE_COUNT(experts.count, "expert blocks per layer", 0, 65536),
      KVPLACE_COUNT(experts.active, "experts read per step and layer", 0, 65536),
      KVPLACE_NUMBER(experts.overlap, "share of the experts read that were read in the step before", 0, 1),
      KVPLACE_NUMBER(experts.layer_spread, "sigma of the log-normal factor by which layers differ in 1 - overlap", 0,
                     4),
      KVPLACE_NUMBER(experts.recency, "an expert not read for a steps comes back with weight a^-recency", 0, 8),
  };
}

#undef KVPLACE_COUNT
#undef KVPLACE_NUMBER

}  // namespace

std::span<const Field<GeneratorConfig>> generator_fields() {
  static const std::vector<Field<GeneratorConfig>> kFields = make_fields();
  return kFields;
}

Status apply_generator_entry(const ConfigEntry& entry, GeneratorConfig& config) {
  if (entry.key.starts_with(generate::kFitPrefix)) {
    return generate::apply_fit_entry(entry, config.fit);
  }
  return apply_entry<GeneratorConfig>(generator_fields(), entry, config);
}

Result<GeneratorConfig> parse_generator(std::string_view document, const std::string& name) {
  KVPLACE_ASSIGN(entries, parse_toml(document, name));
  GeneratorConfig config;
  for (const ConfigEntry& entry : entries) {
    KVPLACE_TRY(apply_generator_entry(entry, config));
  }
  return config;
}

Result<GeneratorConfig> load_generator(std::string_view name_or_file) {
  KVPLACE_ASSIGN(document, find_document(name_or_file, embedded_generators(), "generator"));
  return parse_generator(document.text, document.name);
}

Status validate_size(const GeneratorConfig& config, bool has_pages, const std::string& where) {
  const std::uint64_t tokens =
      std::uint64_t{config.prompt_tokens} + std::uint64_t{config.steps} * config.tokens_per_step;
  const std::uint64_t pages = has_pages ? (tokens + config.block_tokens - 1) / config.block_tokens : 0;
  if (pages + config.experts.count > std::uint64_t{1} << 28 ||
      (pages + config.experts.count) * config.layers >= std::uint64_t{1} << 32) {
    return bad_input(where + ": has " + std::to_string(pages) + " pages in each of " + std::to_string(config.layers) +
                     " layers; at most 2^28 per layer and 2^32 - 1 in all are supported");
  }
  return {};
}

namespace {

/// The keys of the two processes for pages do not mix.
Status validate_swap(const GeneratorConfig& config, bool has_budget, const std::string& where) {
  const GeneratorConfig::Swap& swap = config.swap;
  if (swap.least > swap.most) {
    return bad_input(where + ": swap.least is above swap.most; lower it or raise that");
  }
  if (swap.window == 0) {
    return swap.most == 0 ? Status() : bad_input(where + ": swap.most needs swap.window, the share pages come in from");
  }
  if (!has_budget) {
    return bad_input(where + ": swap.window needs budget.blocks or budget.share, and no fit");
  }
  const GeneratorConfig unset;
  for (const Field<GeneratorConfig>& field : generator_fields()) {
    const std::string table = field.key.substr(0, field.key.find('.') + 1);
    if ((table == "parts." || table == "churn." || table == "heavy." || table == "reuse.") &&
        field.get(config) != field.get(unset)) {
      return bad_input(where + ": " + field.key + " is not used with swap.window; leave it out, or set that to 0");
    }
  }
  return {};
}

}  // namespace

Status validate(const GeneratorConfig& config, const std::string& where) {
  const auto wrong = [&where](const std::string& what) { return bad_input(where + ": " + what); };
  if (config.layers == 0) {
    return wrong("layers is missing; give it, or --layers");
  }
  if (config.steps == 0) {
    return wrong("steps is missing; give it, or --steps");
  }
  const bool is_fit = !config.fit.empty();
  const bool has_budget = config.budget.blocks > 0 || config.budget.share > 0;
  if (is_fit) {
    if (has_budget || config.experts.active > 0 || (config.experts.count > 0) != !config.fit.experts.empty()) {
      return wrong("has a fit, which takes the place of budget.* and experts.active; leave those out");
    }
    KVPLACE_TRY(generate::validate_fit(config.fit, where));
  }
  const bool has_pages = has_budget || !config.fit.pages.empty();
  if (config.budget.blocks > 0 && config.budget.share > 0) {
    return wrong("budget.blocks and budget.share are both given; set one of them to 0");
  }
  if (!has_pages && config.experts.count == 0) {
    return wrong("nothing is read; give budget.blocks, budget.share or experts.count");
  }
  if (!is_fit &&
      (config.experts.active > config.experts.count || (config.experts.count > 0) != (config.experts.active > 0))) {
    return wrong("experts.active must be 1 to experts.count");
  }
  KVPLACE_TRY(validate_size(config, has_pages, where));
  KVPLACE_TRY(validate_swap(config, has_budget, where));
  if (!has_pages || is_fit) {
    return {};
  }
  const std::uint64_t first_pages =
      std::max<std::uint64_t>(1, (std::uint64_t{config.prompt_tokens} + config.block_tokens - 1) / config.block_tokens);
  const std::uint32_t page = config.block_tokens;
  const std::uint64_t sinks = (std::uint64_t{config.parts.sink_tokens} + page - 1) / page;
  const std::uint64_t window =
      config.parts.window_tokens == 0 ? 0 : (std::uint64_t{config.parts.window_tokens} + page - 2) / page + 1;
  const std::uint64_t pinned = sinks + window + config.parts.slash_lines;
  const std::uint64_t budget =
      config.budget.blocks > 0
          ? config.budget.blocks
          : static_cast<std::uint64_t>(std::llround(config.budget.share * static_cast<double>(first_pages)));
  if (pinned > budget) {
    return wrong("sinks, window and slash lines are up to " + std::to_string(pinned) + " pages, but " +
                 std::to_string(budget) + " are read; lower parts.* or raise the budget or the prompt");
  }
  return {};
}

std::string to_toml(const GeneratorConfig& config) {
  std::string out;
  std::string table;
  for (const Field<GeneratorConfig>& field : generator_fields()) {
    const std::string text = field.get(config);
    if (text.empty()) {
      continue;
    }
    const std::size_t dot = field.key.find('.');
    const std::string of_table = dot == std::string::npos ? std::string() : field.key.substr(0, dot);
    if (of_table != table) {
      table = of_table;
      out += "\n[" + table + "]\n";
    }
    const std::string key = dot == std::string::npos ? field.key : field.key.substr(dot + 1);
    out += key + " = " + (field.is_text ? toml_string(text) : text) + "\n";
  }
  return out + generate::fit_to_toml(config.fit);
}

Status save_generator(const GeneratorConfig& config, const std::string& path) {
  KVPLACE_ASSIGN(file, OutputFile::create(path));
  KVPLACE_TRY(file.write("# kvplace generate FILE.toml makes this trace again\n" + to_toml(config)));
  return file.commit();
}

std::vector<std::string> generator_names() { return document_names(embedded_generators()); }

}  // namespace kvplace
