/// A model layer by layer: what each kind keeps per token and request, and what it reads of the weights.
///
/// Layers that are alike form a group; together the groups name every layer once. Sources: Hugging Face's config.json
/// (kvplace/model/config_json.h) or [[layer]] tables of a model file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/config.h"
#include "kvplace/base/result.h"
#include "kvplace/base/units.h"

namespace kvplace {

struct LayerGroup {
  std::string at;             ///< which layers: "0", "3-60", "0-34/2" (every second), divided by commas
  std::string kind = "full";  ///< "full" (GQA; MHA and MQA are its ends), "mla", "window" or "state" (no KV)
  // Shape of the KV of a token. Zero where the bytes are given.
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;
  std::uint32_t latent_dim = 0;
  std::uint32_t rope_dim = 0;
  std::uint32_t tokens_per_entry = 0;  ///< tokens that share one entry of the KV; 0 = 1
  std::uint32_t window = 0;            ///< tokens; of a layer that is no window: kept beside its KV
  Bytes kv_bytes_per_token;            ///< rounded up
  Bytes selector_bytes_per_token;      ///< index keys, which are read in full in every step
  Bytes state_bytes_per_request;       ///< read in every step
  std::int64_t dense_parameters = 0;   ///< all but routed experts
  Bytes dense_weight_bytes;
  std::uint32_t experts = 0;
  std::uint32_t experts_per_token = 0;
  std::int64_t expert_parameters = 0;  ///< of one
  Bytes expert_bytes;

  [[nodiscard]] bool has_kv() const { return kind != "state"; }
  /// Whether its KV grows with the text, so that placement matters.
  [[nodiscard]] bool grows() const { return kind == "full" || kind == "mla"; }
  bool operator==(const LayerGroup&) const = default;
};

/// What one request's full window takes in one layer of the group; 0 without one.
[[nodiscard]] Bytes window_bytes(const LayerGroup& group);

/// The layers that a text like "0-2, 5" names, ascending. Bad input if it is none, or beyond 65535.
[[nodiscard]] Result<std::vector<std::uint32_t>> parse_layer_set(std::string_view text);
/// The shortest text of single layers, ranges and strides. REQUIRES: ascending, no layer twice.
[[nodiscard]] std::string format_layer_set(std::span<const std::uint32_t> layers);

/// Distinct experts of `experts` that `tokens` tokens of `per_token` experts each read, if routing is uniform:
/// E (1 - (1 - k/E)^n).
[[nodiscard]] double distinct_experts(double experts, double per_token, double tokens);

/// The one table of a group's fields.
[[nodiscard]] std::span<const Field<LayerGroup>> layer_fields();

/// Bytes that `latent` + `rope` (mla) or `elements` (gqa) take in a dtype of the KV cache; see kv_dtypes().
struct KvDtype {
  std::string_view name;
  std::int64_t sixteenths_per_element;  ///< bytes of 16 elements, with their scales; 0: rows of MLA of their own
};
/// fp32, fp16, bf16, fp8, fp8-flashmla, int8, nvfp4.
[[nodiscard]] std::span<const KvDtype> kv_dtypes();
/// Null if there is none of that name.
[[nodiscard]] const KvDtype* find_kv_dtype(std::string_view name);
/// KV of one entry. 0 if the shape is incomplete or does not go with the dtype.
[[nodiscard]] std::int64_t kv_entry_bytes(bool mla, std::int64_t elements, std::int64_t rope, const KvDtype& dtype);

}  // namespace kvplace
