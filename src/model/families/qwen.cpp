#include <algorithm>

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
  const std::vector<std::int64_t> dense_layers = config.counts("mlp_only_layers");
  const std::int64_t sparse_every = config.count_or("decoder_sparse_step", 1);
  for (std::int64_t i = 0; i < decoder.layers; ++i) {
    ModelLayer layer;
    add_gqa(decoder, {.qkv_bias = bias, .output_bias = third && bias, .head_norms = third}, layer);
    if (window > 0 && windows[static_cast<std::size_t>(i)]) {
      make_window(window, layer);
    }
    const bool dense = !sparse || sparse_every == 0 || (i + 1) % sparse_every != 0 ||
                       std::find(dense_layers.begin(), dense_layers.end(), i) != dense_layers.end();
    if (dense) {
      layer.mlp = gated_mlp(decoder.hidden, config.count("intermediate_size"));
    } else {
      add_experts(decoder.hidden, config.count("moe_intermediate_size"),
                  config.has("num_experts") ? config.count("num_experts") : config.count("num_local_experts"),
                  config.count("num_experts_per_tok"), layer);
      if (!third) {
        layer.mlp = gated_mlp(decoder.hidden, config.count("shared_expert_intermediate_size"));
        layer.mlp_is_shared = true;
        layer.rest.plain += decoder.hidden;  // the shared expert's gate
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
