#include "model/support/parts.h"

namespace kvplace {
namespace {

/// A window in every second layer, sinks, biases everywhere.
void read_gpt_oss(const HfConfig& config, ModelShape& shape) {
  const Decoder decoder = read_decoder(config, {.head_dim = 64});
  const bool bias = config.flag("attention_bias", true);
  const std::int64_t width = config.count("intermediate_size");
  const std::int64_t experts = config.count("num_local_experts");
  const std::int64_t per_token =
      config.has("num_experts_per_tok") ? config.count("num_experts_per_tok") : config.count("experts_per_token");
  std::vector<bool> by_default;
  for (std::int64_t i = 0; i < decoder.layers; ++i) {
    by_default.push_back(i % 2 == 0);
  }
  for (const bool has_window : window_layers(config, decoder, by_default)) {
    ModelLayer layer;
    add_gqa(decoder, {.qkv_bias = bias, .output_bias = bias}, layer);
    layer.attention.plain += decoder.heads;  // sinks
    if (has_window) {
      make_window(config.count("sliding_window"), layer);
    }
    add_experts(decoder.hidden, width, experts, per_token, layer);
    layer.expert.plain += 2 * width + decoder.hidden;
    layer.rest.plain += experts + 2 * decoder.hidden;
    shape.layers.push_back(layer);
  }
  shape.outside = outside_weights(config, decoder);
}

}  // namespace

void register_family_gpt_oss(FamilyRegistry& registry) { registry.add({{"gpt_oss"}, "gpt-oss", &read_gpt_oss}); }

}  // namespace kvplace
