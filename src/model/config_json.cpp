#include "kvplace/model/config_json.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/file.h"
#include "base/presets.h"
#include "kvplace/model/changes.h"
#include "model/groups.h"
#include "model/support/family.h"
#include "model/support/precision.h"

namespace kvplace {
namespace {

constexpr const char* kByToml =
    ": give its layers in a TOML file, [[layer]] tables with at, kind, kv_heads, head_dim, dense_weight_bytes, "
    "experts, "
    "... (docs/deployments.md)";

/// Like layers get the same text.
std::string identity_of(const LayerGroup& group) {
  std::string key;
  for (const Field<LayerGroup>& field : layer_fields()) {
    key += field.get(group) + "|";
  }
  return key;
}

LayerGroup weighed(const ModelLayer& layer, const Precision& precision) {
  constexpr std::int64_t kFp32Bytes = 4;
  LayerGroup group = layer.kept;
  group.state_bytes_per_request = Bytes(layer.states_fp32 * kFp32Bytes + layer.states_dtype * precision.dtype_bytes());
  const Weights dense = layer.attention + layer.mlp + layer.rest;
  group.dense_parameters = dense.linear + dense.plain;
  group.dense_weight_bytes = precision.of(layer.attention, "self_attn") +
                             precision.of(layer.mlp, layer.mlp_is_shared ? "shared_experts" : "mlp") +
                             precision.of(layer.rest, "");
  group.experts = static_cast<std::uint32_t>(layer.experts);
  group.experts_per_token = static_cast<std::uint32_t>(layer.experts_per_token);
  if (layer.experts > 0) {
    group.expert_parameters = layer.expert.linear + layer.expert.plain;
    group.expert_bytes = precision.of(layer.expert, "experts");
  }
  return group;
}

/// Groups in the order of their first layers.
std::vector<LayerGroup> grouped(const ModelShape& shape, const Precision& precision) {
  std::vector<LayerGroup> groups;
  std::vector<std::vector<std::uint32_t>> members;
  std::map<std::string, std::size_t> known;
  for (std::uint32_t i = 0; i < shape.layers.size(); ++i) {
    const LayerGroup group = weighed(shape.layers[i], precision);
    const auto [place, is_new] = known.try_emplace(identity_of(group), groups.size());
    if (is_new) {
      groups.push_back(group);
      members.emplace_back();
    }
    members[place->second].push_back(i);
  }
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i].at = format_layer_set(members[i]);
  }
  return groups;
}

Status check_totals(const ModelShape& shape, const std::string& where) {
  constexpr double kMostParameters = 0x1p46;
  double parameters = static_cast<double>(shape.outside.plain);
  for (const ModelLayer& layer : shape.layers) {
    const Weights dense = layer.attention + layer.mlp + layer.rest;
    parameters += static_cast<double>(dense.linear + dense.plain) +
                  static_cast<double>(layer.expert.linear + layer.expert.plain) * static_cast<double>(layer.experts);
    if (layer.experts_per_token > layer.experts) {
      return bad_input(where + ": a token uses " + std::to_string(layer.experts_per_token) +
                       " experts, but there are " + std::to_string(layer.experts));
    }
  }
  return parameters <= kMostParameters ? Status()
                                       : bad_input(where + ": more than 2^46 parameters are absurd; check its fields");
}

/// A name that may stand in a sentence and a TOML file: of the folder, or of the file if that is not config.json.
std::string name_of(const std::string& path) {
  const std::filesystem::path file(path);
  const bool by_folder = file.filename() == "config.json";
  std::error_code ignored;
  std::string name = by_folder
                         ? std::filesystem::absolute(file, ignored).lexically_normal().parent_path().filename().string()
                         : file.stem().string();
  std::replace_if(name.begin(), name.end(), [](char c) { return c < ' ' || c > '~' || c == '"' || c == '\\'; }, '-');
  return name.empty() ? "model" : name;
}

}  // namespace

std::string config_json_path(std::string_view name_or_file) {
  std::string name(name_or_file);
  if (name_or_file.ends_with(".json")) {
    return name;
  }
  const std::vector<std::string> presets = model_names();
  if (name.empty() || name_or_file.ends_with(".toml") ||
      std::find(presets.begin(), presets.end(), name) != presets.end()) {
    return {};
  }
  std::error_code ignored;
  return std::filesystem::is_directory(name, ignored) ? name + (name.ends_with('/') ? "" : "/") + "config.json"
                                                      : std::string();
}

Result<Model> parse_config_json(std::string_view document, const std::string& where, const std::string& name) {
  KVPLACE_ASSIGN(config, HfConfig::parse(document, where));
  const Family* family = FamilyRegistry::instance().find(config.model_type());
  if (family == nullptr) {
    const std::vector<std::string> known = model_families();
    return bad_input(where + ": model_type " + in_quotes(config.model_type()) +
                     " is of no known family (the nearest is " + in_quotes(nearest_name(config.model_type(), known)) +
                     "), so what its layers keep and weigh is not known" + kByToml);
  }
  ModelShape shape;
  family->read(config, shape);
  const Precision precision(config);
  if (config.error()) {
    return tl::unexpected(*config.error());
  }
  KVPLACE_TRY(check_totals(shape, where));

  Model model;
  model.name = name;
  model.description = config.model_type() + " from config.json, weights in " + precision.name() +
                      (config.has_other_parts() ? ", its text model alone" : "");
  model.attention.sparse_top_k = static_cast<std::uint32_t>(shape.sparse_top_k);
  model.attention.query_heads = static_cast<std::uint32_t>(shape.layers.empty() ? 0 : shape.layers.front().query_heads);
  for (const ModelLayer& layer : shape.layers) {
    if (layer.kept.grows()) {
      model.attention.query_heads = static_cast<std::uint32_t>(layer.query_heads);
      break;
    }
  }
  model.groups = grouped(shape, precision);
  model.hidden_size = static_cast<std::uint32_t>(config.count("hidden_size"));
  model.parameters = shape.outside.linear + shape.outside.plain;
  model.weight_bytes = precision.of(shape.outside, "");
  for (const LayerGroup& group : model.groups) {
    const std::int64_t layers = num_layers(group);
    model.parameters += (group.dense_parameters + group.expert_parameters * std::int64_t{group.experts}) * layers;
    model.weight_bytes += (group.dense_weight_bytes + group.expert_bytes * std::int64_t{group.experts}) * layers;
  }
  if (Status settled = settle_groups({}, model); !settled) {
    return bad_input(where + ": " + settled.error().message);
  }
  KVPLACE_TRY(validate(model, where));
  return model;
}

Result<Model> read_config_json(const std::string& path) {
  KVPLACE_ASSIGN(document, read_small_file(path));
  return parse_config_json(document, path, name_of(path));
}

std::vector<std::string> model_families() {
  std::vector<std::string> types;
  for (const Family& family : FamilyRegistry::instance().families()) {
    types.insert(types.end(), family.model_types.begin(), family.model_types.end());
  }
  std::sort(types.begin(), types.end());
  return types;
}

}  // namespace kvplace
