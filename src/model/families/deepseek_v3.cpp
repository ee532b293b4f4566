#include "model/support/parts.h"

namespace kvplace {
namespace {

/// MLA, the first layers dense, then routed experts beside shared ones; V3.2 has an indexer in each layer.
void read_deepseek_v3(const HfConfig& config, ModelShape& shape) {
  const Decoder decoder = read_decoder(config, {.kv_heads = 1, .head_dim = 1});
  const bool indexed = config.model_type() == "deepseek_v32";
  shape.sparse_top_k = indexed ? config.count("index_topk") : 0;
  for (const bool experts : expert_layers(config, decoder, 3)) {
    ModelLayer layer;
    add_mla(config, decoder, layer);
    if (indexed) {
      add_indexer(config, decoder, layer);
    }
    if (experts) {
      add_deepseek_experts(config, decoder, layer);
    } else {
      layer.mlp = gated_mlp(decoder.hidden, config.count("intermediate_size"));
    }
    layer.rest.plain += 2 * decoder.hidden;
    shape.layers.push_back(layer);
  }
  shape.outside = outside_weights(config, decoder);
}

}  // namespace

void register_family_deepseek_v3(FamilyRegistry& registry) {
  registry.add({{"deepseek_v3", "deepseek_v32", "kimi_k2", "kimi_k25"},
                "DeepSeek-V3, R1, V3.1, V3.2; Kimi K2, text model of K2.5",
                &read_deepseek_v3});
}

}  // namespace kvplace
