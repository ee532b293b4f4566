#include "kvplace/generate/workload.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <system_error>

#include "kvplace/base/parse.h"
#include "kvplace/generate/generate.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kDenseBlocks = 1024;
constexpr std::uint32_t kDenseSteps = 8;  // all alike but for the tokens they add
constexpr std::uint32_t kDefaultContext = 32768;
constexpr double kReads = 8e6;  // of a trace, about
constexpr std::uint32_t kLeastSteps = 64;
constexpr std::uint32_t kMostSteps = 512;

GeneratorConfig dense_config(std::uint32_t context) {
  GeneratorConfig config;
  config.name = "dense";
  config.block_tokens = (context + kDenseBlocks - 1) / kDenseBlocks;
  config.budget.share = 1;
  config.churn.overlap = 1;
  return config;
}

Result<GeneratorConfig> dsa_config(std::uint32_t context, const Model& model) {
  constexpr std::uint32_t kLong = 65536;
  KVPLACE_ASSIGN(config, load_generator(context < kLong ? "dsa-32k" : "dsa-128k"));
  config.name = "dsa";
  if (model.attention.sparse_top_k > 0) {
    config.budget.blocks = model.attention.sparse_top_k;
  }
  return config;
}

Result<GeneratorConfig> expert_config(const Model& model) {
  KVPLACE_ASSIGN(config, load_generator("mixtral-experts"));
  config.name = "experts";
  config.layers = 0;
  for (const LayerGroup& group : layer_groups(model)) {
    if (group.experts > 0) {
      config.experts.count = group.experts;
      config.experts.active = group.experts_per_token;
      config.layers += num_layers(group);
    }
  }
  if (config.layers == 0) {
    return bad_input("workload experts: " + model.name + " has no routed experts");
  }
  // A little more than chance, as the preset has it.
  const double chance = static_cast<double>(config.experts.active) / config.experts.count;
  config.experts.overlap = std::min(1.0, chance + 0.07 * (1 - chance));
  return config;
}

/// A path that nobody else has.
std::string temporary_path() {
  static std::uint64_t count = 0;
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  return ((error ? std::filesystem::path("/tmp") : folder) /
          ("kvplace-workload-" + std::to_string(::getpid()) + "-" + std::to_string(count++) + ".kvt"))
      .string();
}

}  // namespace

std::uint32_t traced_layers(const Model& model) {
  Bytes most;
  std::uint32_t layers = 0;
  for (const LayerGroup& group : layer_groups(model)) {
    if (!group.grows() || group.kv_bytes_per_token < most) {
      continue;
    }
    layers = group.kv_bytes_per_token > most ? 0 : layers;
    most = group.kv_bytes_per_token;
    layers += num_layers(group);
  }
  return layers == 0 ? model.layers : layers;
}

std::vector<std::string> workload_names() {
  std::vector<std::string> names{"dense", "dsa", "quest", "experts"};
  const std::vector<std::string> presets = generator_names();
  names.insert(names.end(), presets.begin(), presets.end());
  return names;
}

std::string workload_of(const Model& model) { return model.attention.sparse_top_k > 0 ? "dsa" : "dense"; }

Result<GeneratorConfig> workload_config(const Workload& workload, const Model& model) {
  const std::vector<std::string> names = workload_names();
  if (std::find(names.begin(), names.end(), workload.name) == names.end()) {
    return bad_input("unknown workload " + in_quotes(workload.name) + "; the nearest known name is " +
                     in_quotes(nearest_name(workload.name, names)) +
                     " (dense, dsa, quest, experts, or one of kvplace " + "list generators)");
  }
  if (workload.context == 0u) {
    return bad_input("workload " + workload.name + ": a context of 0 tokens has nothing to read; give --context");
  }
  const std::uint32_t context = workload.context.value_or(kDefaultContext);
  Result<GeneratorConfig> made = workload.name == "dense"     ? dense_config(context)
                                 : workload.name == "dsa"     ? dsa_config(context, model)
                                 : workload.name == "experts" ? expert_config(model)
                                 : workload.name == "quest"   ? load_generator("quest-64k")
                                                              : load_generator(workload.name);
  KVPLACE_ASSIGN(config, std::move(made));
  const bool has_pages = config.budget.blocks > 0 || config.budget.share > 0 || !config.fit.pages.empty();
  if (has_pages) {
    config.layers = traced_layers(model);
    if (workload.context || workload.name == "dense" || workload.name == "dsa") {
      config.prompt_tokens = context;
    }
    const std::uint32_t pages = (config.prompt_tokens + config.block_tokens - 1) / config.block_tokens;
    config.budget.blocks = std::min(config.budget.blocks, pages);
    if (config.budget.blocks == pages) {  // all is read
      config.parts = {};
      config.budget = {0, 1};
    }
  }
  config.model = model.name;
  const double reads =
      config.layers * (has_pages ? std::max(1.0, config.budget.blocks +
                                                     config.budget.share * config.prompt_tokens / config.block_tokens)
                                 : config.experts.active);
  const double steps = std::clamp(kReads / reads, double{kLeastSteps}, double{kMostSteps});
  config.steps = workload.steps.value_or(workload.name == "dense" ? kDenseSteps : static_cast<std::uint32_t>(steps));
  KVPLACE_TRY(validate(config, "workload " + workload.name));
  return config;
}

Result<TraceReader> open_workload(const Workload& workload, const Model& model, const RunContext& context) {
  KVPLACE_ASSIGN(config, workload_config(workload, model));
  return open_generated(config, "workload " + workload.name, context);
}

Result<TraceReader> open_generated(const GeneratorConfig& config, const std::string& name, const RunContext& context) {
  const std::string path = temporary_path();
  Result<TraceTotals> written = generate_trace(config, path, {.zstd_level = 1}, context);
  Result<TraceReader> trace = written ? TraceReader::open(path, {.name = name}) : tl::unexpected(written.error());
  std::error_code gone;
  std::filesystem::remove(path, gone);
  return trace;
}

Result<std::uint32_t> parse_tokens(std::string_view text) {
  const bool is_k = text.ends_with('K') || text.ends_with('k');
  const bool is_m = text.ends_with('M');
  const std::string_view number = is_k || is_m ? text.substr(0, text.size() - 1) : text;
  const std::uint64_t unit = is_k ? 1024 : is_m ? 1024 * 1024 : 1;
  const Result<std::uint64_t> count = parse_count(number);
  constexpr std::uint64_t kMost = std::uint64_t{1} << 28;
  if (!count || *count > kMost / unit) {
    return bad_input(in_quotes(text) + " is not a number of tokens up to 2^28, like 65536, 64K or 1M");
  }
  return static_cast<std::uint32_t>(*count * unit);
}

std::string format_tokens(std::uint64_t tokens) {
  constexpr std::uint64_t kKilo = 1024;
  if (tokens > 0 && tokens % (kKilo * kKilo) == 0) {
    return std::to_string(tokens / (kKilo * kKilo)) + "M";
  }
  return tokens > 0 && tokens % kKilo == 0 ? std::to_string(tokens / kKilo) + "K" : std::to_string(tokens);
}

}  // namespace kvplace
