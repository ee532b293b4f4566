/// A model from Hugging Face's config.json: layer kinds in order, KV, index keys, states, weights and experts, from the
/// config's own fields. No network, no weights.
///
/// A family is one file in src/model/families/ (model/support/family.h); docs/deployments.md lists them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/model/model.h"

namespace kvplace {

/// The file that a user means: one that ends in ".json", or that of a folder; empty if it is neither.
[[nodiscard]] std::string config_json_path(std::string_view name_or_file);

/// Reads and checks a config.json. It is named after its folder.
[[nodiscard]] Result<Model> read_config_json(const std::string& path);

/// `where` is for messages, and `name` the model's. Bad input, in one sentence: no JSON, an unknown family, fields that
/// are missing, absurd or contradict each other.
[[nodiscard]] Result<Model> parse_config_json(std::string_view document, const std::string& where,
                                              const std::string& name);

/// All values of model_type that are known, sorted.
[[nodiscard]] std::vector<std::string> model_families();

}  // namespace kvplace
