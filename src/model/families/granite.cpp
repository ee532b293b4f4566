#include <algorithm>

#include "model/support/parts.h"

namespace kvplace {
namespace {

/// Mamba-2: one state per head, and the last tokens of a convolution.
void add_mamba(const HfConfig& config, const Decoder& decoder, ModelLayer& layer) {
  const std::int64_t heads = config.count_or("mamba_n_heads", 128);
  const std::int64_t state = config.count_or("mamba_d_state", 256);
  const std::int64_t groups = config.count_or("mamba_n_groups", 1);
  const std::int64_t kernel = std::max<std::int64_t>(1, config.count_or("mamba_d_conv", 4));
  const std::int64_t inner =
      config.width("mamba_expand x hidden_size", config.count_or("mamba_expand", 2) * decoder.hidden);
  const std::int64_t convolved = inner + config.width("mamba_n_groups x mamba_d_state", 2 * groups * state);
  layer.attention.linear += decoder.hidden * (inner + convolved + heads) + inner * decoder.hidden;
  layer.attention.plain += convolved * kernel + (config.flag("mamba_conv_bias", true) ? convolved : 0);
  layer.attention.plain += 3 * heads + inner;
  layer.attention.plain += config.flag("mamba_proj_bias", false) ? inner + convolved + heads + decoder.hidden : 0;
  layer.kept.kind = "state";
  layer.states_fp32 = inner * state;
  layer.states_dtype = convolved * (kernel - 1);
}

/// Granite 3 is as Llama, or has experts in every layer; Granite 4 has Mamba-2 in most layers, and a shared MLP.
void read_granite(const HfConfig& config, ModelShape& shape) {
  const std::string& type = config.model_type();
  const bool hybrid = type == "granitemoehybrid";
  const Decoder decoder = read_decoder(config);
  const bool bias = config.flag("attention_bias", false);
  const std::vector<std::string> kinds =
      hybrid ? words_by_layer(config, "layer_types", decoder.layers,
                              {"mamba", "linear_attention", "attention", "full_attention"})
             : std::vector<std::string>();
  const std::int64_t experts = type == "granite" ? 0 : config.count_or("num_local_experts", 8);
  const std::int64_t shared =
      hybrid || type == "granitemoeshared" ? config.count_or("shared_intermediate_size", hybrid ? 1024 : 0) : 0;
  for (std::int64_t i = 0; i < decoder.layers; ++i) {
    ModelLayer layer;
    const std::string kind = kinds.empty() ? (hybrid ? "mamba" : "attention") : kinds[static_cast<std::size_t>(i)];
    if (kind == "mamba" || kind == "linear_attention") {
      add_mamba(config, decoder, layer);
    } else {
      add_gqa(decoder, {.qkv_bias = bias, .output_bias = bias}, layer);
    }
    if (type == "granite") {
      layer.mlp = gated_mlp(decoder.hidden, config.count("intermediate_size"), config.flag("mlp_bias", false));
    } else {
      if (experts > 0) {
        add_experts(decoder.hidden, config.count("intermediate_size"), experts,
                    config.count_or("num_experts_per_tok", 2), layer);
      }
      layer.mlp = gated_mlp(decoder.hidden, shared);
      layer.mlp_is_shared = true;
    }
    layer.rest.plain += 2 * decoder.hidden;
    shape.layers.push_back(layer);
  }
  shape.outside = outside_weights(config, decoder);
}

}  // namespace

void register_family_granite(FamilyRegistry& registry) {
  registry.add(
      {{"granite", "granitemoe", "granitemoeshared", "granitemoehybrid"}, "Granite 3, Granite 4", &read_granite});
}

}  // namespace kvplace
