#include <algorithm>

#include "model/support/parts.h"

namespace kvplace {
namespace {

/// Gated DeltaNet: one state per value head, and the last tokens of a convolution.
void add_delta_net(const HfConfig& config, const Decoder& decoder, ModelLayer& layer) {
  const std::int64_t key_heads = config.count("linear_num_key_heads");
  const std::int64_t value_heads = config.count("linear_num_value_heads");
  const std::int64_t key_dim = config.count("linear_key_head_dim");
  const std::int64_t value_dim = config.count("linear_value_head_dim");
  const std::int64_t kernel = std::max<std::int64_t>(1, config.count_or("linear_conv_kernel_dim", 4));
  const std::int64_t keys = config.width("linear_num_key_heads x linear_key_head_dim", key_heads * key_dim);
  const std::int64_t values = config.width("linear_num_value_heads x linear_value_head_dim", value_heads * value_dim);
  const std::int64_t convolved = 2 * keys + values;
  layer.attention.linear += decoder.hidden * (convolved + values + 2 * value_heads) + values * decoder.hidden;
  layer.attention.plain += convolved * kernel + 2 * value_heads + value_dim;
  layer.kept.kind = "state";
  layer.states_fp32 = values * key_dim;
  layer.states_dtype = convolved * (kernel - 1);
}

/// Three layers of Gated DeltaNet, then one of full attention with an output gate.
void read_qwen_next(const HfConfig& config, ModelShape& shape) {
  const std::string& type = config.model_type();
  const bool sparse = type == "qwen3_next" || type.starts_with("qwen3_5_moe");
  const Decoder decoder = read_decoder(config, {.head_dim = 256});
  const bool bias = config.flag("attention_bias", false);
  const std::vector<std::string> kinds =
      words_by_layer(config, "layer_types", decoder.layers, {"full_attention", "linear_attention"});
  const std::int64_t full_every = std::max<std::int64_t>(1, config.count_or("full_attention_interval", 4));
  const std::vector<bool> experts = sparse_step_layers(config, decoder);
  for (std::int64_t i = 0; i < decoder.layers; ++i) {
    ModelLayer layer;
    const bool full =
        kinds.empty() ? (i + 1) % full_every == 0 : kinds[static_cast<std::size_t>(i)] == "full_attention";
    if (full) {
      add_gqa(decoder, {.qkv_bias = bias, .output_bias = bias, .gated_query = true, .head_norms = true}, layer);
    } else {
      add_delta_net(config, decoder, layer);
    }
    if (sparse && experts[static_cast<std::size_t>(i)]) {
      add_experts(decoder.hidden, config.count("moe_intermediate_size"), config.count("num_experts"),
                  config.count("num_experts_per_tok"), layer);
      add_gated_shared_expert(config, decoder, layer);
    } else {
      layer.mlp = gated_mlp(decoder.hidden, config.count("intermediate_size"));
    }
    layer.rest.plain += 2 * decoder.hidden;
    shape.layers.push_back(layer);
  }
  shape.outside = outside_weights(config, decoder);
}

}  // namespace

void register_family_qwen_next(FamilyRegistry& registry) {
  registry.add({{"qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"},
                "Qwen3-Next, Qwen3.5",
                &read_qwen_next});
}

}  // namespace kvplace
