#include "kvplace/model/layers.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/fields.h"

namespace kvplace {

namespace {

constexpr std::uint32_t kMostLayers = 65536;

std::vector<Field<LayerGroup>> make_layer_fields() {
  return {
      KVPLACE_FIELD(LayerGroup, at, "which layers: 0, 3-60, 0-34/2 (every second), divided by commas"),
      KVPLACE_FIELD(LayerGroup, kind, "full, mla, window or state (no KV)"),
      KVPLACE_FIELD(LayerGroup, kv_heads, "KV heads (full, window)"),
      KVPLACE_FIELD(LayerGroup, head_dim, "dimensions of a head (full, window)"),
      KVPLACE_FIELD(LayerGroup, latent_dim, "dimensions of the compressed KV (mla)"),
      KVPLACE_FIELD(LayerGroup, rope_dim, "dimensions of the rotary key (mla)"),
      KVPLACE_FIELD(LayerGroup, tokens_per_entry, "tokens that share one entry of the KV"),
      KVPLACE_FIELD(LayerGroup, window, "tokens of the window"),
      KVPLACE_FIELD(LayerGroup, kv_bytes_per_token, "KV bytes of one token in one layer; default: from the shape"),
      KVPLACE_FIELD(LayerGroup, selector_bytes_per_token, "index keys of one token in one layer"),
      KVPLACE_FIELD(LayerGroup, state_bytes_per_request, "state of one request in one layer"),
      KVPLACE_FIELD(LayerGroup, dense_parameters, "parameters of one layer without routed experts"),
      KVPLACE_FIELD(LayerGroup, dense_weight_bytes, "the same in bytes, read in every step"),
      KVPLACE_FIELD(LayerGroup, experts, "routed experts of one layer"),
      KVPLACE_FIELD(LayerGroup, experts_per_token, "routed experts that a token uses"),
      KVPLACE_FIELD(LayerGroup, expert_parameters, "parameters of one routed expert"),
      KVPLACE_FIELD(LayerGroup, expert_bytes, "the same in bytes"),
  };
}

/// "7", "3-60" or "0-34/2".
Status add_range(std::string_view text, std::vector<std::uint32_t>& layers) {
  const auto wrong = [&] {
    return bad_input(in_quotes(text) + " names no layers: write 0, 3-60 or 0-34/2, divided by commas");
  };
  const std::size_t slash = text.find('/');
  const std::string_view range = text.substr(0, slash);
  const std::size_t dash = range.find('-');
  const Result<std::uint64_t> first = parse_count(range.substr(0, dash));
  const Result<std::uint64_t> last = dash == std::string_view::npos ? first : parse_count(range.substr(dash + 1));
  const Result<std::uint64_t> stride =
      slash == std::string_view::npos ? Result<std::uint64_t>(1) : parse_count(text.substr(slash + 1));
  if (!first || !last || !stride || *stride == 0 || *last < *first || *last >= kMostLayers) {
    return wrong();
  }
  for (std::uint64_t layer = *first; layer <= *last; layer += *stride) {
    layers.push_back(static_cast<std::uint32_t>(layer));
  }
  return {};
}

constexpr std::int64_t kSixteen = 16;
/// FlashMLA's rows: the latent in fp8 with a scale of 4 bytes for each 128, the rotary key in 2 bytes each.
constexpr std::int64_t kLatentPerScale = 128;

constexpr std::array<KvDtype, 7> kKvDtypes{
    {{"fp32", 64}, {"fp16", 32}, {"bf16", 32}, {"fp8", 16}, {"fp8-flashmla", 0}, {"int8", 16}, {"nvfp4", 9}}};

}  // namespace

Result<std::vector<std::uint32_t>> parse_layer_set(std::string_view text) {
  std::vector<std::uint32_t> layers;
  while (true) {
    const std::size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    part = part.substr(0, part.find_last_not_of(' ') + 1);
    KVPLACE_TRY(add_range(part, layers));
    if (comma == std::string_view::npos) {
      break;
    }
    text.remove_prefix(comma + 1);
  }
  std::sort(layers.begin(), layers.end());
  if (const auto twice = std::adjacent_find(layers.begin(), layers.end()); twice != layers.end()) {
    return bad_input("layer " + std::to_string(*twice) + " is named twice");
  }
  return layers;
}

std::string format_layer_set(std::span<const std::uint32_t> layers) {
  std::string text;
  for (std::size_t i = 0; i < layers.size();) {
    std::size_t end = i + 1;  // of the run that begins at i
    const std::uint32_t stride = end < layers.size() ? layers[end] - layers[i] : 1;
    while (end < layers.size() && layers[end] - layers[end - 1] == stride) {
      ++end;
    }
    if (end == i + 2 && stride > 1) {
      end = i + 1;  // two layers apart are no stride
    }
    text += (text.empty() ? "" : ", ") + std::to_string(layers[i]);
    if (end > i + 1) {
      text += "-" + std::to_string(layers[end - 1]) + (stride > 1 ? "/" + std::to_string(stride) : "");
    }
    i = end;
  }
  return text;
}

Bytes window_bytes(const LayerGroup& group) {
  // Entries of several tokens are of what lies behind the window, which has an entry per token.
  const std::int64_t entries = std::max<std::int64_t>(1, group.tokens_per_entry);
  return group.kv_bytes_per_token * (entries * group.window);
}

double distinct_experts(double experts, double per_token, double tokens) {
  return experts > 0 ? experts * -std::expm1(tokens * std::log1p(-per_token / experts)) : 0;
}

std::span<const Field<LayerGroup>> layer_fields() {
  static const std::vector<Field<LayerGroup>> kFields = make_layer_fields();
  return kFields;
}

std::span<const KvDtype> kv_dtypes() { return kKvDtypes; }

const KvDtype* find_kv_dtype(std::string_view name) {
  const auto* found =
      std::find_if(kKvDtypes.begin(), kKvDtypes.end(), [&](const KvDtype& dtype) { return dtype.name == name; });
  return found == kKvDtypes.end() ? nullptr : found;
}

std::int64_t kv_entry_bytes(bool mla, std::int64_t elements, std::int64_t rope, const KvDtype& dtype) {
  if (dtype.sixteenths_per_element > 0) {
    return ((elements + rope) * dtype.sixteenths_per_element + kSixteen - 1) / kSixteen;
  }
  if (!mla || elements % kLatentPerScale != 0) {
    return 0;
  }
  return elements + elements / kLatentPerScale * 4 + rope * 2;
}

}  // namespace kvplace
