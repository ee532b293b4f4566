#include <algorithm>

#include "model/support/parts.h"

namespace kvplace {
namespace {

/// Gemma 2 and 3: windows in all but every second or sixth layer, four norms, the embedding as head.
void read_gemma3(const HfConfig& config, ModelShape& shape) {
  const bool third = config.model_type() != "gemma2";
  const Decoder decoder =
      read_decoder(config, {.vocab = third ? 262208 : 256000, .heads = 8, .kv_heads = 4, .head_dim = 256});
  const bool bias = config.flag("attention_bias", false);
  const std::int64_t window = config.count_or("sliding_window", 4096);
  const std::int64_t pattern = std::max<std::int64_t>(1, config.count_or("sliding_window_pattern", third ? 6 : 2));
  std::vector<bool> by_default;
  for (std::int64_t i = 0; i < decoder.layers; ++i) {
    by_default.push_back((i + 1) % pattern != 0);
  }
  for (const bool has_window : window_layers(config, decoder, by_default)) {
    ModelLayer layer;
    add_gqa(decoder, {.qkv_bias = bias, .output_bias = bias, .head_norms = third}, layer);
    if (has_window && window > 0) {
      make_window(window, layer);
    }
    layer.mlp = gated_mlp(decoder.hidden, config.count_or("intermediate_size", 9216));
    layer.rest.plain += 4 * decoder.hidden;
    shape.layers.push_back(layer);
  }
  shape.outside = outside_weights(config, decoder, true);
}

}  // namespace

void register_family_gemma3(FamilyRegistry& registry) {
  registry.add({{"gemma2", "gemma3", "gemma3_text"}, "Gemma 2, Gemma 3", &read_gemma3});
}

}  // namespace kvplace
