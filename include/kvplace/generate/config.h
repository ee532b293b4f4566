/// Settings of a synthetic trace: presets, files and flags all fill this struct. docs/generators.md tells how the
/// process works; docs/verbs/generate.md has the table of keys.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/config.h"
#include "kvplace/base/result.h"
#include "kvplace/generate/fitted.h"

namespace kvplace {

/// All shares are 0 to 1; 0 switches a part off.
struct GeneratorConfig {
  std::string name;
  std::string description;
  std::string model;  ///< preset kept in the trace's metadata

  std::uint32_t layers = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t steps = 0;            ///< decode steps
  std::uint32_t tokens_per_step = 1;  ///< decoded in each, all accepted
  std::uint32_t block_tokens = 16;    ///< tokens of a KV page
  std::uint32_t ranking_depth = 0;    ///< ids ranked per step and layer; 0 = no rankings
  std::uint32_t seed = 0;

  /// Blocks read per step and layer: exactly one of the two.
  struct Budget {
    std::uint32_t blocks = 0;
    double share = 0;  ///< of the pages there are, rounded
  } budget;

  struct Parts {
    std::uint32_t sink_tokens = 0;
    std::uint32_t window_tokens = 0;
    std::uint32_t slash_lines = 0;
    double slash_steps = 64;
  } parts;

  struct Churn {
    double overlap = 0.9;
    double layer_spread = 0;
    std::uint32_t early_layers = 0;
    double early_overlap = 0;
    double step_spread = 0;
    double common = 0;
    double phase_steps = 0;
    double phase_share = 0;
  } churn;

  struct Heavy {
    double share = 0;
    double hold = 10;
    double pull = 10;
    double drift = 0;
    double common = 0;
  } heavy;

  struct Reuse {
    double recency = 1;
    double stickiness = 0.5;
    double fresh = 0.05;
    double choices = 1;
  } reuse;

  /// Another process for the pages, in the place of all from parts to reuse, if window > 0.
  struct Swap {
    double least = 0;  ///< of the set, that leaves in a step
    double most = 0;
    double window = 0;  ///< of the pages there are, the newest, out of which others come in
  } swap;

  struct Experts {
    std::uint32_t count = 0;
    std::uint32_t active = 0;
    double overlap = 0;
    double layer_spread = 0;
    double recency = 0;
  } experts;

  /// If it is not empty, it stands for all from budget on but experts.count.
  Fit fit;
};

/// The one table of settable fields; those of `fit` come on top.
[[nodiscard]] std::span<const Field<GeneratorConfig>> generator_fields();

/// Sets one field; does not validate the whole.
[[nodiscard]] Status apply_generator_entry(const ConfigEntry& entry, GeneratorConfig& config);

/// A preset by name, or a TOML file if `name_or_file` ends in ".toml" or contains a '/'. Not validated as a whole,
/// since flags may complete it.
[[nodiscard]] Result<GeneratorConfig> load_generator(std::string_view name_or_file);

/// Parses one document; `name` is for messages. Not validated as a whole.
[[nodiscard]] Result<GeneratorConfig> parse_generator(std::string_view document, const std::string& name);

/// Errors if a needed field is missing, out of range, or contradicts another; `where` begins the message.
[[nodiscard]] Status validate(const GeneratorConfig& config, const std::string& where);

/// Of that, whether a trace can have so many blocks: known without what is read. `has_pages`: not only experts.
[[nodiscard]] Status validate_size(const GeneratorConfig& config, bool has_pages, const std::string& where);

/// As a TOML document that reads back as the same settings.
[[nodiscard]] std::string to_toml(const GeneratorConfig& config);

/// Writes that document to a file.
[[nodiscard]] Status save_generator(const GeneratorConfig& config, const std::string& path);

/// Names of the presets, sorted.
[[nodiscard]] std::vector<std::string> generator_names();

}  // namespace kvplace
