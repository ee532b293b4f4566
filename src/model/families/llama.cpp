#include "model/support/parts.h"

namespace kvplace {
namespace {

/// Llama 2 and 3, and what is built like them: GQA and a gated MLP in every layer.
void read_llama(const HfConfig& config, ModelShape& shape) {
  const Decoder decoder = read_decoder(config);
  const bool bias = config.flag("attention_bias", false);
  ModelLayer layer;
  add_gqa(decoder, {.qkv_bias = bias, .output_bias = bias}, layer);
  layer.mlp = gated_mlp(decoder.hidden, config.count("intermediate_size"), config.flag("mlp_bias", false));
  layer.rest.plain = 2 * decoder.hidden;
  shape.layers.assign(static_cast<std::size_t>(decoder.layers), layer);
  shape.outside = outside_weights(config, decoder);
}

}  // namespace

void register_family_llama(FamilyRegistry& registry) {
  registry.add({{"llama"}, "Llama 2 and 3, SmolLM2", &read_llama});
}

}  // namespace kvplace
