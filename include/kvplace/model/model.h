/// The language model, as far as bytes go: KV per token, weights per step, experts.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/config.h"
#include "kvplace/base/units.h"
#include "kvplace/model/layers.h"

namespace kvplace {

/// Shape of the attention, from which the KV bytes follow when they are not given.
struct Attention {
  std::string kind = "gqa";  ///< "gqa" (MHA and MQA are its ends) or "mla"
  std::uint32_t query_heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;
  std::uint32_t latent_dim = 0;             ///< MLA: compressed KV
  std::uint32_t rope_dim = 0;               ///< MLA: decoupled rotary key
  std::string dtype = "bf16";               ///< of the KV cache, one of kv_dtypes()
  std::uint32_t sparse_top_k = 0;           ///< tokens a trained sparse attention reads per step; 0 = dense
  std::uint32_t sliding_window = 0;         ///< tokens; 0 = none
  std::uint32_t sliding_layers = 0;         ///< layers that have the window
  Bytes indexer_bytes_per_token_per_layer;  ///< the selector's own keys, kept near
};

/// Mixture of experts; all 0 for a dense model.
struct Experts {
  std::uint32_t count = 0;   ///< routed experts per layer
  std::uint32_t active = 0;  ///< routed experts per token
  std::uint32_t layers = 0;  ///< layers that have them; 0 = all
  Bytes bytes_per_expert;    ///< weights of one expert of one layer
};

struct Model {
  std::string name;
  std::string description;
  std::uint32_t layers = 0;
  Bytes kv_bytes_per_token_per_layer;
  Bytes weight_bytes_per_layer_per_step;  ///< read for one token in one layer (mean over layers)
  Bytes weight_bytes;                     ///< all weights, what they take of a memory
  Flops flops_per_layer_per_step;         ///< 0 = arithmetic never binds
  Attention attention;
  Experts experts;
  std::int64_t parameters = 0;    ///< in all; 0 = not known
  std::uint32_t hidden_size = 0;  ///< width of what layers hand on, and GPUs to each other; 0 = not known
  /// Layer by layer, if known: each layer is in one group. The figures above are then what the groups make: means over
  /// all layers, and the KV of those whose KV grows (of windows where none does).
  std::vector<LayerGroup> groups;
  std::map<std::string, std::string> provenance;  ///< key -> "spec|measured|estimated: source"
};

/// The groups; of a model that is not given layer by layer one or two that make the same figures.
[[nodiscard]] std::vector<LayerGroup> layer_groups(const Model& model);

/// How many layers a group has.
[[nodiscard]] std::uint32_t num_layers(const LayerGroup& group);

/// KV bytes per token and layer that the attention's shape implies; 0 if the shape is incomplete or absurd.
/// GQA: 2 * kv_heads * head_dim * bytes(dtype); MLA: (latent_dim + rope_dim) * bytes(dtype), or FlashMLA's rows.
[[nodiscard]] Bytes kv_bytes_of_shape(const Attention& attention);

/// The one table of settable fields.
[[nodiscard]] std::span<const Field<Model>> model_fields();
/// The same and those of the groups that `model` has, as "layer.N.KEY".
[[nodiscard]] std::vector<Field<Model>> model_fields(const Model& model);

/// Sets one field (also "layer.N.KEY" and "provenance.KEY"); does not validate the whole.
[[nodiscard]] Status apply_model_entry(const ConfigEntry& entry, Model& model);

/// A preset by name, a TOML file if `name_or_file` ends in ".toml" or contains a '/', or a Hugging Face config.json if
/// it ends in ".json" or is a folder that holds one.
[[nodiscard]] Result<Model> load_model(std::string_view name_or_file);

/// Parses and validates one document; `name` is for messages.
[[nodiscard]] Result<Model> parse_model(std::string_view document, const std::string& name);

/// Errors if a needed field is missing or out of range; `where` begins the message.
[[nodiscard]] Status validate(const Model& model, const std::string& where);

/// Names of the presets, sorted.
[[nodiscard]] std::vector<std::string> model_names();

}  // namespace kvplace
