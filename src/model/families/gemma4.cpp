#include <algorithm>

#include "model/support/parts.h"

namespace kvplace {
namespace {

/// Which layers take the keys and values of an earlier layer of their kind.
std::int64_t first_sharing_layer(const HfConfig& config, const Decoder& decoder) {
  const std::int64_t sharing = config.count_or("num_kv_shared_layers", 0);
  if (sharing >= decoder.layers) {
    config.fail("num_kv_shared_layers = " + std::to_string(sharing) + " leaves no layer that has KV of its own");
  }
  return decoder.layers - std::min(sharing, decoder.layers);
}

/// Inputs of each layer from a second embedding.
void add_layer_inputs(std::int64_t width, const Decoder& decoder, ModelLayer& layer) {
  layer.mlp.linear += 2 * decoder.hidden * width;
  layer.rest.plain += decoder.hidden;
}

/// Windows in five of six layers, wider and fewer heads in the others, experts beside the MLP (26B-A4B).
void read_gemma4(const HfConfig& config, ModelShape& shape) {
  const Decoder windowed = read_decoder(config, {.vocab = 262144, .heads = 8, .kv_heads = 4, .head_dim = 256});
  const bool shared_value = config.flag("attention_k_eq_v", false);
  Decoder full = windowed;
  full.head_dim = config.has("global_head_dim") ? config.count("global_head_dim") : 512;
  if (shared_value && config.has("num_global_key_value_heads")) {
    full.kv_heads = config.count("num_global_key_value_heads");
  }
  const bool bias = config.flag("attention_bias", false);
  const std::int64_t window = config.count_or("sliding_window", 512);
  const std::int64_t inputs = config.count_or("hidden_size_per_layer_input", 256);
  const std::int64_t sharing_from = first_sharing_layer(config, windowed);
  const bool experts = config.flag("enable_moe_block", false);
  std::vector<bool> by_default;
  for (std::int64_t i = 0; i < windowed.layers; ++i) {
    by_default.push_back((i + 1) % 6 != 0);
  }
  std::vector<bool> windows = window_layers(config, windowed, by_default);
  if (!windows.empty()) {
    windows.back() = false;  // as transformers has it, whatever the config says
  }
  for (std::size_t i = 0; i < windows.size(); ++i) {
    Decoder decoder = windows[i] ? windowed : full;
    const std::string last = std::to_string(windows.size() - 1);
    std::string at = std::to_string(i);  // as transformers writes it: "05" of 12
    for (const std::size_t width : {at.size(), last.size()}) {
      at.insert(0, width - std::min(width, at.size()), '0');
      decoder.head_dim = config.nested_or("per_layer_config", at, "head_dim", decoder.head_dim);
      decoder.kv_heads = config.nested_or("per_layer_config", at, "num_key_value_heads", decoder.kv_heads);
    }
    const std::int64_t keys = decoder.kv_heads * decoder.head_dim;
    ModelLayer layer;
    add_gqa(decoder, {.qkv_bias = bias, .output_bias = bias, .head_norms = true}, layer);
    const bool shares = static_cast<std::int64_t>(i) >= sharing_from;
    if (shares) {
      layer.attention.linear -= 2 * decoder.hidden * keys;
      layer.attention.plain -= decoder.head_dim + (bias ? 2 * keys : 0);
      layer.kept = {};
      layer.kept.kind = "state";
    } else {
      layer.attention.linear -= shared_value && !windows[i] ? decoder.hidden * keys : 0;
      layer.attention.plain -= shared_value && !windows[i] && bias ? keys : 0;
      if (windows[i]) {
        make_window(window, layer);
      }
    }
    const std::int64_t width = config.count_or("intermediate_size", 9216);
    layer.mlp = gated_mlp(decoder.hidden, shares && config.flag("use_double_wide_mlp", false) ? 2 * width : width);
    layer.rest.plain += 4 * decoder.hidden;
    if (experts) {
      add_experts(decoder.hidden, config.count("moe_intermediate_size"), config.count("num_experts"),
                  config.count("top_k_experts"), layer);
      layer.rest.plain += 4 * decoder.hidden + layer.experts;  // three norms, scales of the router
    }
    if (inputs > 0) {
      add_layer_inputs(inputs, decoder, layer);
    }
    shape.layers.push_back(layer);
  }
  shape.outside = outside_weights(config, windowed, true);
  if (inputs > 0) {
    const std::int64_t packed =
        config.width("num_hidden_layers x hidden_size_per_layer_input", windowed.layers * inputs);
    const std::int64_t words =
        config.has("vocab_size_per_layer_input") ? config.count("vocab_size_per_layer_input") : 262144;
    shape.outside.plain += words * packed + windowed.hidden * packed + inputs;
  }
}

}  // namespace

void register_family_gemma4(FamilyRegistry& registry) {
  registry.add({{"gemma4", "gemma4_text"}, "Gemma 4", &read_gemma4});
}

}  // namespace kvplace
