#include "model/support/parts.h"

namespace kvplace {
namespace {

/// Qwen2 has biases, Qwen3 norms of heads; a layer's experts may have a shared one beside them (Qwen2-MoE).
void read_qwen(const HfConfig& config, ModelShape& shape) {
  const std::string& type = config.model_type();
  const bool third = type.starts_with("qwen3");
  const bool sparse = type.ends_with("_moe");
  const Decoder decoder = read_decoder(config, {.head_dim = third ? 128 : 0});
  const bool bias = third ? config.flag("attention_bias", false) : true;
  const std::int64_t window = config.flag("use_sliding_window", false) ? config.count_or("sliding_window", 4096) : 0;
  const std::int64_t first_window = config.count_or("max_window_layers", 28);
  std::vector<bool> by_default;
  for (std::int64_t i = 0; i < decoder.layers; ++i) {
    by_default.push_back(i >= first_window);
  }
  const std::vector<bool> windows = window_layers(config, decoder, by_default);
  const std::vector<bool> experts = sparse_step_layers(config, decoder);
  for (std::int64_t i = 0; i < decoder.layers; ++i) {
    ModelLayer layer;
    add_gqa(decoder, {.qkv_bias = bias, .output_bias = third && bias, .head_norms = third}, layer);
    if (window > 0 && windows[static_cast<std::size_t>(i)]) {
      make_window(window, layer);
    }
    if (!sparse || !experts[static_cast<std::size_t>(i)]) {
      layer.mlp = gated_mlp(decoder.hidden, config.count("intermediate_size"));
    } else {
      add_experts(decoder.hidden, config.count("moe_intermediate_size"),
                  config.has("num_experts") ? config.count("num_experts") : config.count("num_local_experts"),
                  config.count("num_experts_per_tok"), layer);
      if (!third) {
        add_gated_shared_expert(config, decoder, layer);
      }
    }
    layer.rest.plain += 2 * decoder.hidden;
    shape.layers.push_back(layer);
  }
  shape.outside = outside_weights(config, decoder);
}

}  // namespace

void register_family_qwen(FamilyRegistry& registry) {
  registry.add({{"qwen2", "qwen2_moe", "qwen3", "qwen3_moe"}, "Qwen2, Qwen2.5, Qwen3", &read_qwen});
}

}  // namespace kvplace
