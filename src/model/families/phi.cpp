#include "model/support/parts.h"

namespace kvplace {
namespace {

/// Phi-3 and Phi-4: as Llama, projections fused; Phi-3.5-MoE with norms that have biases.
void read_phi(const HfConfig& config, ModelShape& shape) {
  const Decoder decoder = read_decoder(config);
  const bool sparse = config.model_type() == "phimoe";
  const bool bias = sparse && config.flag("attention_bias", false);
  const std::int64_t window = read_window(config);
  ModelLayer layer;
  add_gqa(decoder, {.qkv_bias = bias, .output_bias = bias}, layer);
  if (window > 0) {
    make_window(window, layer);
  }
  const std::int64_t width = config.count("intermediate_size");
  if (sparse) {
    add_experts(decoder.hidden, width, config.count("num_local_experts"), config.count("num_experts_per_tok"), layer);
  } else {
    layer.mlp = gated_mlp(decoder.hidden, width);
  }
  layer.rest.plain += (sparse ? 4 : 2) * decoder.hidden;
  shape.layers.assign(static_cast<std::size_t>(decoder.layers), layer);
  shape.outside = outside_weights(config, decoder);
  shape.outside.plain += sparse ? decoder.hidden : 0;
  shape.outside.plain += sparse && config.flag("lm_head_bias", false) ? decoder.vocab : 0;
}

}  // namespace

void register_family_phi(FamilyRegistry& registry) {
  registry.add({{"phi3", "phimoe"}, "Phi-3, Phi-3.5-MoE, Phi-4", &read_phi});
}

}  // namespace kvplace
