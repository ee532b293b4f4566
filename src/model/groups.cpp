#include "model/groups.h"

#include <algorithm>
#include <cmath>

#include "base/fields.h"

namespace kvplace {
namespace {

constexpr std::size_t kMostGroups = 4096;
constexpr std::uint32_t kMostDimensions = 1u << 20;
constexpr std::int64_t kMostGroupBytes = std::int64_t{1} << 44;

const ConfigEntry* find_entry(std::span<const ConfigEntry> entries, const std::string& key) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const ConfigEntry& e) { return e.key == key; });
  return found == entries.end() ? nullptr : &*found;
}

std::string key_of(std::size_t group, const std::string& key) { return "layer." + std::to_string(group) + "." + key; }

/// KV of one token, of which several may share an entry; 0 without a shape, or with one that the dtype does not take.
Bytes kv_bytes_of(const LayerGroup& group, const KvDtype& dtype) {
  const bool mla = group.latent_dim > 0;
  const std::int64_t elements =
      mla ? std::int64_t{group.latent_dim} : 2 * std::int64_t{group.kv_heads} * group.head_dim;
  const std::int64_t entry = kv_entry_bytes(mla, elements, mla ? group.rope_dim : 0, dtype);
  const std::int64_t tokens = std::max<std::int64_t>(1, group.tokens_per_entry);
  return Bytes((entry + tokens - 1) / tokens);
}

Status check_group(const LayerGroup& group, const std::string& where) {
  for (const std::uint32_t number :
       {group.kv_heads, group.head_dim, group.latent_dim, group.rope_dim, group.tokens_per_entry}) {
    if (number > kMostDimensions) {
      return bad_input(where + ": " + std::to_string(number) + " heads or dimensions is absurd; at most 2^20");
    }
  }
  if (group.kind != "full" && group.kind != "mla" && group.kind != "window" && group.kind != "state") {
    return bad_input(where + ": kind " + in_quotes(group.kind) + " is none of full, mla, window, state");
  }
  if (group.kind == "window" && group.window == 0) {
    return bad_input(where + ": a window needs its tokens: give window = N");
  }
  if (group.experts_per_token > group.experts) {
    return bad_input(where + ": a token uses " + std::to_string(group.experts_per_token) + " experts, but there are " +
                     std::to_string(group.experts));
  }
  for (const Bytes size : {group.dense_weight_bytes, group.expert_bytes, group.state_bytes_per_request,
                           group.selector_bytes_per_token, group.kv_bytes_per_token}) {
    if (size.value() > kMostGroupBytes) {
      return bad_input(where + ": " + format_bytes(size) + " in a layer is absurd; at most 16 TiB");
    }
  }
  if (static_cast<double>(group.expert_bytes.value()) * group.experts > static_cast<double>(kMostGroupBytes)) {
    return bad_input(where + ": " + std::to_string(group.experts) + " experts of " + format_bytes(group.expert_bytes) +
                     " in a layer are absurd; at most 16 TiB");
  }
  return {};
}

Status settle_kv(std::span<const ConfigEntry> entries, std::size_t number, const KvDtype& dtype, LayerGroup& group) {
  const ConfigEntry* given = find_entry(entries, key_of(number, "kv_bytes_per_token"));
  if (!group.has_kv()) {
    return {};
  }
  const Bytes shape = kv_bytes_of(group, dtype);
  if (shape != Bytes(0)) {
    if (given != nullptr && group.kv_bytes_per_token != shape) {
      return bad_input(given->where + ": layer " + group.at + ": kv_bytes_per_token = " + in_quotes(given->text) +
                       " is not what the shape and " + std::string(dtype.name) + " make, " + format_bytes(shape) +
                       ": leave one of them out");
    }
    group.kv_bytes_per_token = shape;
    return {};
  }
  const ConfigEntry* changed = find_entry(entries, "attention.dtype");
  if (changed != nullptr && given == nullptr) {
    return bad_input(changed->where + ": layer " + group.at + " keeps no KV in " + std::string(dtype.name) +
                     ": its shape is not known or not one for it; give " + key_of(number, "kv_bytes_per_token") +
                     " as well");
  }
  if (group.kv_bytes_per_token <= Bytes(0)) {
    return bad_input("layer " + group.at +
                     ": give kv_heads and head_dim, latent_dim and rope_dim (mla), or kv_bytes_per_token");
  }
  return {};
}

/// Every layer in one group. How many there are.
Result<std::uint32_t> count_layers(const Model& model) {
  std::vector<std::uint32_t> all;
  for (const LayerGroup& group : model.groups) {
    KVPLACE_ASSIGN(layers, parse_layer_set(group.at));
    all.insert(all.end(), layers.begin(), layers.end());
  }
  std::sort(all.begin(), all.end());
  for (std::uint32_t i = 0; i < all.size(); ++i) {
    if (all[i] != i) {
      return bad_input(all[i] < i ? "layer " + std::to_string(all[i]) + " is in two [[layer]] tables"
                                  : "layer " + std::to_string(i) + " is in no [[layer]] table");
    }
  }
  return static_cast<std::uint32_t>(all.size());
}

/// The groups whose KV a trace can have: those whose KV grows, or windows where none does.
std::vector<const LayerGroup*> placed_groups(const Model& model) {
  std::vector<const LayerGroup*> placed;
  for (const bool grows : {true, false}) {
    for (const LayerGroup& group : model.groups) {
      if (placed.empty() || placed.front()->grows() == grows) {
        if (group.has_kv() && group.grows() == grows) {
          placed.push_back(&group);
        }
      }
    }
  }
  return placed;
}

Attention attention_of(const LayerGroup& group, const Attention& given) {
  Attention attention = given;
  attention.kind = group.kind == "mla" ? "mla" : "gqa";
  attention.kv_heads = group.kv_heads;
  attention.head_dim = group.head_dim;
  attention.latent_dim = group.latent_dim;
  attention.rope_dim = group.rope_dim;
  attention.indexer_bytes_per_token_per_layer = group.selector_bytes_per_token;
  return attention;
}

/// The figures of the whole model that the groups make.
Status derive(Model& model) {
  const std::vector<const LayerGroup*> placed = placed_groups(model);
  if (placed.empty()) {
    return bad_input("no layer keeps KV, so there is nothing to place");
  }
  model.attention = attention_of(*placed.front(), model.attention);
  model.kv_bytes_per_token_per_layer = Bytes(0);
  for (const LayerGroup* group : placed) {
    model.kv_bytes_per_token_per_layer = std::max(model.kv_bytes_per_token_per_layer, group->kv_bytes_per_token);
  }
  if (placed.front()->tokens_per_entry > 1) {  // the shape alone no longer says it
    model.attention.kv_heads = model.attention.head_dim = model.attention.latent_dim = model.attention.rope_dim = 0;
  }
  Bytes of_layers;
  Bytes read;
  std::uint32_t windows = 0;
  model.experts = {};
  model.attention.sliding_window = 0;
  for (const LayerGroup& group : model.groups) {
    const std::int64_t layers = num_layers(group);
    of_layers += (group.dense_weight_bytes + group.expert_bytes * std::int64_t{group.experts}) * layers;
    read += (group.dense_weight_bytes + group.expert_bytes * std::int64_t{group.experts_per_token}) * layers;
    if (group.kind == "window") {
      windows += static_cast<std::uint32_t>(layers);
      model.attention.sliding_window = std::max(model.attention.sliding_window, group.window);
    }
    if (group.experts > 0) {
      model.experts.count = group.experts;
      model.experts.active = group.experts_per_token;
      model.experts.layers += static_cast<std::uint32_t>(layers);
      model.experts.bytes_per_expert = group.expert_bytes;
    }
  }
  model.attention.sliding_layers = windows;
  model.weight_bytes_per_layer_per_step =
      Bytes(std::llround(static_cast<double>(read.value()) / static_cast<double>(model.layers)));
  if (model.weight_bytes == Bytes(0)) {
    model.weight_bytes = of_layers;
  }
  if (model.weight_bytes < of_layers) {
    return bad_input("weight_bytes = " + format_bytes(model.weight_bytes) + " is less than the layers have, " +
                     format_bytes(of_layers));
  }
  return {};
}

}  // namespace

Status apply_layer_entry(const ConfigEntry& entry, Model& model) {
  const ConfigEntry numbered = without_prefix(entry, "layer");
  const std::size_t dot = numbered.key.find('.');
  const Result<std::uint64_t> number = parse_count(std::string_view(numbered.key).substr(0, dot));
  if (!number || dot == std::string::npos || *number >= kMostGroups || *number > model.groups.size()) {
    return bad_input(entry.where + ": " + in_quotes(entry.section + entry.key) +
                     ": layers are [[layer]] tables, in order, at most " + std::to_string(kMostGroups));
  }
  if (*number == model.groups.size()) {
    model.groups.emplace_back();
  }
  return apply_entry<LayerGroup>(layer_fields(), without_prefix(numbered, numbered.key.substr(0, dot)),
                                 model.groups[*number]);
}

Status settle_groups(std::span<const ConfigEntry> entries, Model& model) {
  const std::string where = entries.empty() ? model.name : entries.front().where;
  const KvDtype* dtype = find_kv_dtype(model.attention.dtype);
  if (dtype == nullptr) {
    return {};  // which validate() says
  }
  for (std::size_t i = 0; i < model.groups.size(); ++i) {
    const ConfigEntry* own = find_entry(entries, key_of(i, "at"));
    KVPLACE_TRY(check_group(model.groups[i], (own != nullptr ? own->where : where) + ": layer " + model.groups[i].at));
    KVPLACE_TRY(settle_kv(entries, i, *dtype, model.groups[i]));
  }
  const auto placed_in = [&](Status status) -> Status {
    return status ? Status() : bad_input(where + ": " + status.error().message);
  };
  const Model given = model;
  const Result<std::uint32_t> layers = count_layers(model);
  if (!layers) {
    return bad_input(where + ": " + layers.error().message);
  }
  model.layers = *layers;
  KVPLACE_TRY(placed_in(derive(model)));
  for (const Field<Model>& field : model_fields()) {
    const ConfigEntry* entry = find_entry(entries, field.key);
    if (entry != nullptr && field.get(given) != field.get(model)) {
      const std::string made = field.get(model);
      return bad_input(entry->where + ": " + entry->section + field.key + " = " + in_quotes(entry->text) +
                       " contradicts the layers, which make " + (made.empty() ? "0" : made) +
                       ": change the [[layer]] tables, or leave it out");
    }
  }
  return {};
}

std::uint32_t num_layers(const LayerGroup& group) {
  const Result<std::vector<std::uint32_t>> layers = parse_layer_set(group.at);
  return layers ? static_cast<std::uint32_t>(layers->size()) : 0;
}

std::vector<LayerGroup> layer_groups(const Model& model) {
  if (!model.groups.empty()) {
    return model.groups;
  }
  const Experts& experts = model.experts;
  const std::uint32_t with_experts =
      experts.count == 0 ? 0 : (experts.layers == 0 ? model.layers : std::min(experts.layers, model.layers));
  const Bytes routed = experts.bytes_per_expert * std::int64_t{experts.active};
  const double dense = static_cast<double>(model.weight_bytes_per_layer_per_step.value()) -
                       static_cast<double>(routed.value()) * with_experts / std::max(1u, model.layers);
  LayerGroup group;
  group.kind = model.attention.kind == "mla" ? "mla" : "full";
  group.kv_heads = model.attention.kv_heads;
  group.head_dim = model.attention.head_dim;
  group.latent_dim = model.attention.latent_dim;
  group.rope_dim = model.attention.rope_dim;
  group.kv_bytes_per_token = model.kv_bytes_per_token_per_layer;
  group.selector_bytes_per_token = model.attention.indexer_bytes_per_token_per_layer;
  group.dense_weight_bytes = Bytes(std::max<std::int64_t>(0, std::llround(dense)));
  std::vector<LayerGroup> groups;
  const auto add = [&](std::uint32_t first, std::uint32_t end) {
    if (first < end) {
      group.at = std::to_string(first) + (end - first > 1 ? "-" + std::to_string(end - 1) : "");
      groups.push_back(group);
    }
  };
  add(0, model.layers - with_experts);
  group.experts = experts.count;
  group.experts_per_token = experts.active;
  group.expert_bytes = experts.bytes_per_expert;
  add(model.layers - with_experts, model.layers);
  return groups;
}

}  // namespace kvplace
