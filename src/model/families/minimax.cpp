#include "model/support/parts.h"

namespace kvplace {
namespace {

/// GQA with norms over all heads, experts in every layer.
void read_minimax_m2(const HfConfig& config, ModelShape& shape) {
  const Decoder decoder = read_decoder(config);
  ModelLayer layer;
  add_gqa(decoder, {}, layer);
  if (config.flag("use_qk_norm", true)) {
    layer.attention.plain += (decoder.heads + decoder.kv_heads) * decoder.head_dim;
  }
  add_experts(decoder.hidden, config.count("intermediate_size"), config.count("num_local_experts"),
              config.count("num_experts_per_tok"), layer);
  layer.rest.plain += 2 * decoder.hidden;
  shape.layers.assign(static_cast<std::size_t>(decoder.layers), layer);
  shape.outside = outside_weights(config, decoder);
}

}  // namespace

void register_family_minimax(FamilyRegistry& registry) {
  registry.add({{"minimax_m2"}, "MiniMax-M2", &read_minimax_m2});
}

}  // namespace kvplace
