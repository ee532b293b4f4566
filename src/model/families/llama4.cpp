#include <algorithm>

#include "model/support/parts.h"

namespace kvplace {
namespace {

/// Layers attend to their chunk of the text, but for every fourth; one expert of many, beside a shared one.
void read_llama4(const HfConfig& config, ModelShape& shape) {
  const Decoder decoder = read_decoder(config, {.heads = 40, .kv_heads = 8, .head_dim = 128});
  const bool bias = config.flag("attention_bias", false);
  const std::int64_t chunk = config.count_or("attention_chunk_size", 8192);
  const std::vector<std::string> kinds =
      words_by_layer(config, "layer_types", decoder.layers, {"full_attention", "chunked_attention"});
  const std::vector<std::int64_t> with_rope = config.counts("no_rope_layers");  // 1: with it
  const std::vector<std::int64_t> moe_layers = config.counts("moe_layers");
  const std::int64_t full_every = std::max<std::int64_t>(1, config.count_or("no_rope_layer_interval", 4));
  const std::int64_t moe_every = std::max<std::int64_t>(1, config.count_or("interleave_moe_layer_step", 1));
  const std::int64_t expert_width = config.count_or("intermediate_size", 8192);
  for (std::int64_t i = 0; i < decoder.layers; ++i) {
    const auto at = static_cast<std::size_t>(i);
    ModelLayer layer;
    add_gqa(decoder, {.qkv_bias = bias, .output_bias = bias}, layer);
    bool chunked = (i + 1) % full_every != 0;
    if (!kinds.empty()) {
      chunked = kinds[at] == "chunked_attention";
    } else if (at < with_rope.size()) {
      chunked = with_rope[at] != 0;
    }
    if (chunked && chunk > 0) {
      make_window(chunk, layer);
    }
    const bool experts = config.has("moe_layers")
                             ? std::find(moe_layers.begin(), moe_layers.end(), i) != moe_layers.end()
                             : (i + 1) % moe_every == 0;
    if (experts) {
      add_experts(decoder.hidden, expert_width, config.count_or("num_local_experts", 16),
                  config.count_or("num_experts_per_tok", 1), layer);
      layer.mlp = gated_mlp(decoder.hidden, expert_width);
      layer.mlp_is_shared = true;
    } else {
      layer.mlp = gated_mlp(decoder.hidden, config.count_or("intermediate_size_mlp", 16384));
    }
    layer.rest.plain += 2 * decoder.hidden;
    shape.layers.push_back(layer);
  }
  shape.outside = outside_weights(config, decoder);
}

}  // namespace

void register_family_llama4(FamilyRegistry& registry) {
  registry.add({{"llama4", "llama4_text"}, "Llama 4 Scout, Maverick", &read_llama4});
}

}  // namespace kvplace
