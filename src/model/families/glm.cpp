#include <algorithm>

#include "model/support/parts.h"

namespace kvplace {
namespace {

/// GLM-4 (dense): biases of queries, keys and values; four norms from 0414 on.
void read_glm(const HfConfig& config, ModelShape& shape) {
  const Decoder decoder = read_decoder(config, {.head_dim = 128});
  ModelLayer layer;
  add_gqa(decoder, {.qkv_bias = config.flag("attention_bias", true)}, layer);
  layer.mlp = gated_mlp(decoder.hidden, config.count("intermediate_size"));
  layer.rest.plain = (config.model_type() == "glm4" ? 4 : 2) * decoder.hidden;
  shape.layers.assign(static_cast<std::size_t>(decoder.layers), layer);
  shape.outside = outside_weights(config, decoder);
}

/// Which layers have an indexer of their own; the others take the choice of the one before (GLM-5.2: 21 of 78).
std::vector<bool> indexer_layers(const HfConfig& config, const Decoder& decoder) {
  const std::vector<std::string> words = words_by_layer(config, "indexer_types", decoder.layers, {"full", "shared"});
  const std::string pattern = words.empty() ? config.text("index_topk_pattern", "") : "";
  if (!pattern.empty() && pattern.size() != static_cast<std::size_t>(decoder.layers)) {
    config.fail("index_topk_pattern has " + std::to_string(pattern.size()) + " letters, but num_hidden_layers is " +
                std::to_string(decoder.layers));
  }
  const std::int64_t every = std::max<std::int64_t>(1, config.count_or("index_topk_freq", 1));
  const std::int64_t offset = config.count_or("index_skip_topk_offset", 2);
  std::vector<bool> own;
  for (std::int64_t i = 0; i < decoder.layers; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (!words.empty()) {
      own.push_back(words[at] == "full");
    } else if (!pattern.empty()) {
      own.push_back(at < pattern.size() && pattern[at] == 'F');
    } else {
      own.push_back(std::max<std::int64_t>(i - offset + 1, 0) % every == 0);
    }
  }
  return own;
}

/// GLM-4.5 to 4.7 (GQA), 4.7-Flash (MLA), GLM-5 (MLA with indexers): the first layers dense, then experts.
void read_glm_moe(const HfConfig& config, ModelShape& shape) {
  const std::string& type = config.model_type();
  const bool indexed = type == "glm_moe_dsa";
  const bool latent = indexed || type == "glm4_moe_lite";
  const Decoder decoder = latent ? read_decoder(config, {.kv_heads = 1, .head_dim = 1}) : read_decoder(config);
  const std::vector<bool> indexers =
      indexed ? indexer_layers(config, decoder) : std::vector<bool>(static_cast<std::size_t>(decoder.layers), false);
  const std::vector<bool> experts = expert_layers(config, decoder, indexed ? 3 : 1);
  shape.sparse_top_k = indexed ? config.count("index_topk") : 0;
  for (std::size_t i = 0; i < experts.size(); ++i) {
    ModelLayer layer;
    if (latent) {
      add_mla(config, decoder, layer);
    } else {
      add_gqa(decoder,
              {.qkv_bias = config.flag("attention_bias", false), .head_norms = config.flag("use_qk_norm", false)},
              layer);
    }
    if (indexers[i]) {
      add_indexer(config, decoder, layer);
    }
    if (experts[i]) {
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

void register_family_glm(FamilyRegistry& registry) {
  registry.add({{"glm", "glm4"}, "GLM-4", &read_glm});
  registry.add({{"glm4_moe", "glm4_moe_lite", "glm_moe_dsa"}, "GLM-4.5 to 4.7, GLM-5", &read_glm_moe});
}

}  // namespace kvplace
