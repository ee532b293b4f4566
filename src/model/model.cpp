#include "kvplace/model/model.h"

#include <algorithm>
#include <array>

#include "base/fields.h"
#include "base/presets.h"
#include "kvplace/base/short_text.h"
#include "kvplace/model/changes.h"
#include "kvplace/model/config_json.h"
#include "model/groups.h"

namespace kvplace {
namespace {

std::vector<Field<Model>> make_fields() {
  return {
      KVPLACE_FIELD(Model, name, "name of the model"),
      KVPLACE_FIELD(Model, description, "one line"),
      KVPLACE_FIELD(Model, layers, "layers that have attention"),
      KVPLACE_FIELD(Model, kv_bytes_per_token_per_layer, "KV bytes of one token in one layer; default: from the shape"),
      KVPLACE_FIELD(Model, weight_bytes_per_layer_per_step,
                    "weights read for one token in one layer, mean over layers"),
      KVPLACE_FIELD(Model, weight_bytes, "all weights; what they take of a memory"),
      KVPLACE_FIELD(Model, parameters, "of all weights"),
      KVPLACE_FIELD(Model, hidden_size, "elements of a token's activations, which GPUs tell each other"),
      KVPLACE_FIELD(Model, flops_per_layer_per_step, "arithmetic of one token in one layer"),
      KVPLACE_FIELD(Model, attention.kind, "gqa (MHA and MQA included) or mla"),
      KVPLACE_FIELD(Model, attention.query_heads, "query heads"),
      KVPLACE_FIELD(Model, attention.kv_heads, "KV heads (gqa)"),
      KVPLACE_FIELD(Model, attention.head_dim, "dimensions of a head (gqa)"),
      KVPLACE_FIELD(Model, attention.latent_dim, "dimensions of the compressed KV (mla)"),
      KVPLACE_FIELD(Model, attention.rope_dim, "dimensions of the rotary key (mla)"),
      KVPLACE_FIELD(Model, attention.dtype,
                    "of the KV cache: fp32, fp16, bf16, fp8, fp8-flashmla (rows of FlashMLA), int8 or nvfp4"),
      KVPLACE_FIELD(Model, attention.sparse_top_k, "tokens a trained sparse attention reads per step"),
      KVPLACE_FIELD(Model, attention.sliding_window, "tokens of the sliding window"),
      KVPLACE_FIELD(Model, attention.sliding_layers, "layers that have the window"),
      KVPLACE_FIELD(Model, attention.indexer_bytes_per_token_per_layer, "the selector's own keys"),
      KVPLACE_FIELD(Model, experts.count, "routed experts per layer"),
      KVPLACE_FIELD(Model, experts.active, "routed experts per token"),
      KVPLACE_FIELD(Model, experts.layers, "layers that have experts; default: all"),
      KVPLACE_FIELD(Model, experts.bytes_per_expert, "weights of one expert of one layer"),
  };
}

constexpr const char* kKvBytesKey = "kv_bytes_per_token_per_layer";

/// Heads or dimensions; keeps products far from overflow.
constexpr std::uint32_t kMostOfAnything = 1u << 20;

std::array<std::uint32_t, 5> heads_and_dimensions(const Attention& a) {
  return {a.query_heads, a.kv_heads, a.head_dim, a.latent_dim, a.rope_dim};
}

/// Whether KV in one dtype takes what it takes in the other.
bool same_size(std::string_view a, std::string_view b) {
  const KvDtype* one = find_kv_dtype(a);
  const KvDtype* other = find_kv_dtype(b);
  return one != nullptr && other != nullptr && one->sixteenths_per_element == other->sixteenths_per_element;
}

/// Whether the shape is there, but not what the dtype wants of it.
bool dtype_misfits(const Attention& attention) {
  Attention plain = attention;
  plain.dtype = "fp8";
  return kv_bytes_of_shape(plain) != Bytes(0) && kv_bytes_of_shape(attention) == Bytes(0);
}

Status check_ranges(const Model& model, const std::string& where) {
  constexpr std::int64_t kMostWeightBytes = std::int64_t{1} << 46;
  for (const std::uint32_t number : heads_and_dimensions(model.attention)) {
    if (number > kMostOfAnything) {
      return bad_input(where + ": attention: " + std::to_string(number) +
                       " heads or dimensions is absurd; at most 2^20");
    }
  }
  if (model.layers == 0 || model.layers > 65536) {
    return bad_input(where + ": layers must be 1 to 65536");
  }
  for (const Bytes size : {model.weight_bytes_per_layer_per_step, model.weight_bytes, model.experts.bytes_per_expert}) {
    if (size.value() > kMostWeightBytes) {
      return bad_input(where + ": " + short_bytes(static_cast<double>(size.value())) +
                       " of weights is absurd; at most 64 TiB");
    }
  }
  return {};
}

}  // namespace

Bytes kv_bytes_of_shape(const Attention& attention) {
  const auto numbers = heads_and_dimensions(attention);
  if (std::any_of(numbers.begin(), numbers.end(), [](std::uint32_t number) { return number > kMostOfAnything; })) {
    return Bytes(0);
  }
  const KvDtype* dtype = find_kv_dtype(attention.dtype);
  if (dtype == nullptr) {
    return Bytes(0);
  }
  const bool mla = attention.kind == "mla";
  const std::int64_t elements =
      mla ? std::int64_t{attention.latent_dim} : 2 * std::int64_t{attention.kv_heads} * attention.head_dim;
  return Bytes(kv_entry_bytes(mla, elements, mla ? attention.rope_dim : 0, *dtype));
}

std::span<const Field<Model>> model_fields() {
  static const std::vector<Field<Model>> kFields = make_fields();
  return kFields;
}

std::vector<Field<Model>> model_fields(const Model& model) {
  const std::span<const Field<Model>> common = model_fields();
  std::vector<Field<Model>> fields(common.begin(), common.end());
  for (std::size_t i = 0; i < model.groups.size(); ++i) {
    for (const Field<LayerGroup>& field : layer_fields()) {
      fields.push_back({"layer." + std::to_string(i) + "." + field.key, field.doc,
                        [i, set = field.set](Model& m, std::string_view text) { return set(m.groups[i], text); },
                        [i, get = field.get](const Model& m) { return get(m.groups[i]); }, field.is_text});
    }
  }
  return fields;
}

Status apply_model_entry(const ConfigEntry& entry, Model& model) {
  if (entry.key.starts_with("provenance.")) {
    std::vector<std::string> known;
    for (const Field<Model>& field : model_fields(model)) {
      known.push_back(field.key);
    }
    return add_provenance(entry, known, model.provenance);
  }
  if (entry.key.starts_with("layer.")) {
    return apply_layer_entry(entry, model);
  }
  return apply_entry<Model>(model_fields(), entry, model);
}

Status apply_model_entries(std::span<const ConfigEntry> entries, Model& model) {
  const Bytes shape_before = kv_bytes_of_shape(model.attention);
  const ConfigEntry* reshaped_by = nullptr;
  bool kv_bytes_given = false;
  for (const ConfigEntry& entry : entries) {
    const Attention before = model.attention;
    KVPLACE_TRY(apply_model_entry(entry, model));
    kv_bytes_given = kv_bytes_given || entry.key == kKvBytesKey;
    const bool reshaped = kv_bytes_of_shape(model.attention) != kv_bytes_of_shape(before) ||
                          !same_size(model.attention.dtype, before.dtype);
    reshaped_by = reshaped ? &entry : reshaped_by;
  }
  if (!model.groups.empty()) {
    return settle_groups(entries, model);
  }
  Bytes& kv_bytes = model.kv_bytes_per_token_per_layer;
  const Bytes shape = kv_bytes_of_shape(model.attention);
  if (reshaped_by == nullptr || kv_bytes_given || (kv_bytes == shape && shape != shape_before)) {
    return {};
  }
  if (kv_bytes != Bytes(0) && kv_bytes != shape_before) {
    return bad_input(reshaped_by->where + ": " + reshaped_by->section + reshaped_by->key + " = " +
                     in_quotes(reshaped_by->text) + " changes the KV of a token, but " + reshaped_by->section +
                     kKvBytesKey + " = " + format_bytes(kv_bytes) +
                     " is not what the attention's shape makes, so it does not follow: give it as well");
  }
  kv_bytes = shape;
  return {};
}

Status validate(const Model& model, const std::string& where) {
  constexpr std::int64_t kMostKvBytes = std::int64_t{1} << 40;
  KVPLACE_TRY(check_ranges(model, where));
  if (model.attention.kind != "gqa" && model.attention.kind != "mla") {
    return bad_input(where + ": attention.kind " + in_quotes(model.attention.kind) + " is neither gqa nor mla");
  }
  if (find_kv_dtype(model.attention.dtype) == nullptr) {
    std::string names;
    for (const KvDtype& dtype : kv_dtypes()) {
      names += (names.empty() ? "" : ", ") + std::string(dtype.name);
    }
    return bad_input(where + ": attention.dtype " + in_quotes(model.attention.dtype) + " is none of " + names);
  }
  if (dtype_misfits(model.attention)) {
    return bad_input(where + ": attention.dtype " + in_quotes(model.attention.dtype) +
                     " is of MLA with a latent of a multiple of 128 dimensions, which this model has not");
  }
  if (model.kv_bytes_per_token_per_layer.value() <= 0 || model.kv_bytes_per_token_per_layer.value() > kMostKvBytes) {
    return bad_input(where +
                     ": kv_bytes_per_token_per_layer is missing or absurd; give it a size like \"4KiB\", or the " +
                     "attention's kv_heads and head_dim (gqa) or latent_dim and rope_dim (mla)");
  }
  return {};
}

Result<Model> parse_model(std::string_view document, const std::string& name) {
  KVPLACE_ASSIGN(entries, parse_toml(document, name));
  // Provenance may name groups of layers, so it is read once they are known.
  std::stable_partition(entries.begin(), entries.end(),
                        [](const ConfigEntry& entry) { return !entry.key.starts_with("provenance."); });
  Model model;
  KVPLACE_TRY(apply_model_entries(entries, model));
  KVPLACE_TRY(check_ranges(model, name));
  if (model.weight_bytes == Bytes(0)) {
    model.weight_bytes = model.weight_bytes_per_layer_per_step * std::int64_t{model.layers};
  }
  KVPLACE_TRY(validate(model, name));
  return model;
}

Result<Model> load_model(std::string_view name_or_file) {
  if (const std::string config = config_json_path(name_or_file); !config.empty()) {
    return read_config_json(config);
  }
  KVPLACE_ASSIGN(document, find_document(name_or_file, embedded_models(), "model"));
  return parse_model(document.text, document.name);
}

std::vector<std::string> model_names() { return document_names(embedded_models()); }

}  // namespace kvplace
