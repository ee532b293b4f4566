#include "model/support/parts.h"

#include <algorithm>

#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

constexpr std::int64_t kMostLayersOfModel = 4096;

std::uint32_t as_count(std::int64_t number) { return static_cast<std::uint32_t>(number); }

}  // namespace

Decoder read_decoder(const HfConfig& config, const DecoderDefaults& defaults) {
  const auto count = [&](const std::string& key, std::int64_t otherwise) {
    return otherwise > 0 && !config.has(key) ? otherwise : config.count(key);
  };
  Decoder decoder;
  decoder.layers = config.count("num_hidden_layers");
  decoder.hidden = config.count("hidden_size");
  decoder.heads = count("num_attention_heads", defaults.heads);
  decoder.kv_heads = count("num_key_value_heads", defaults.kv_heads > 0 ? defaults.kv_heads : decoder.heads);
  decoder.vocab = count("vocab_size", defaults.vocab);
  if (decoder.layers > kMostLayersOfModel) {
    config.fail("num_hidden_layers = " + std::to_string(decoder.layers) + " is absurd; at most 4096");
    decoder.layers = 1;
  }
  if (!config.has("head_dim") && defaults.head_dim == 0 && decoder.hidden % decoder.heads != 0) {
    config.fail("hidden_size = " + std::to_string(decoder.hidden) + " is not divided by num_attention_heads = " +
                std::to_string(decoder.heads) + ", and there is no head_dim");
  }
  decoder.head_dim =
      count("head_dim",
            defaults.head_dim > 0 ? defaults.head_dim : std::max<std::int64_t>(1, decoder.hidden / decoder.heads));
  if (config.width("num_attention_heads x head_dim", decoder.heads * decoder.head_dim) == 1) {
    decoder.heads = decoder.kv_heads = decoder.head_dim = 1;
  }
  if (decoder.heads % decoder.kv_heads != 0) {
    config.fail("num_attention_heads = " + std::to_string(decoder.heads) +
                " is no multiple of num_key_value_heads = " + std::to_string(decoder.kv_heads));
  }
  return decoder;
}

Weights outside_weights(const HfConfig& config, const Decoder& decoder, bool tied_by_default) {
  const bool tied = config.flag("tie_word_embeddings", tied_by_default);
  return {0, decoder.vocab * decoder.hidden * (tied ? 1 : 2) + decoder.hidden};
}

void add_gqa(const Decoder& d, const GqaParts& parts, ModelLayer& layer) {
  const std::int64_t queries = d.heads * d.head_dim;
  const std::int64_t keys = d.kv_heads * d.head_dim;
  const std::int64_t projected = queries * (parts.gated_query ? 2 : 1) + 2 * keys;
  layer.attention.linear += d.hidden * projected + queries * d.hidden;
  layer.attention.plain += (parts.qkv_bias ? projected : 0) + (parts.output_bias ? d.hidden : 0);
  layer.attention.plain += parts.head_norms ? 2 * d.head_dim : 0;
  layer.query_heads = d.heads;
  layer.kept.kind = "full";
  layer.kept.kv_heads = as_count(d.kv_heads);
  layer.kept.head_dim = as_count(d.head_dim);
}

void add_mla(const HfConfig& config, const Decoder& d, ModelLayer& layer) {
  const std::int64_t latent = config.count("kv_lora_rank");
  const std::int64_t rope = config.count("qk_rope_head_dim");
  const std::int64_t key = config.count("qk_nope_head_dim");
  const std::int64_t value = config.count("v_head_dim");
  const std::int64_t query = config.count_or("q_lora_rank", 0);
  const bool bias = config.flag("attention_bias", false);
  const std::int64_t queries = config.width("num_attention_heads x qk_head_dim", d.heads * (key + rope));
  const std::int64_t values = config.width("num_attention_heads x v_head_dim", d.heads * value);
  Weights& a = layer.attention;
  a.linear += query > 0 ? d.hidden * query + query * queries : d.hidden * queries;
  a.plain += query > 0 ? query + (bias ? query : 0) : 0;
  a.linear += d.hidden * (latent + rope) + latent * (queries - d.heads * rope + values) + values * d.hidden;
  a.plain += latent + (bias ? latent + rope + d.hidden : 0);
  layer.query_heads = d.heads;
  layer.kept.kind = "mla";
  layer.kept.latent_dim = as_count(latent);
  layer.kept.rope_dim = as_count(rope);
}

void add_indexer(const HfConfig& config, const Decoder& d, ModelLayer& layer) {
  constexpr std::int64_t kScaleBytes = 4;
  const std::int64_t heads = config.count("index_n_heads");
  const std::int64_t width = config.count("index_head_dim");
  const std::int64_t queries = config.width("index_n_heads x index_head_dim", heads * width);
  layer.attention.linear += config.count("q_lora_rank") * queries + d.hidden * width;
  layer.attention.plain += 2 * width + d.hidden * heads;  // norm of keys; weights of heads
  layer.kept.selector_bytes_per_token = Bytes(width + kScaleBytes);
}

Weights gated_mlp(std::int64_t hidden, std::int64_t intermediate, bool bias) {
  return {3 * hidden * intermediate, bias ? 2 * intermediate + hidden : 0};
}

void add_experts(std::int64_t hidden, std::int64_t intermediate, std::int64_t experts, std::int64_t per_token,
                 ModelLayer& layer) {
  layer.experts = experts;
  layer.experts_per_token = per_token;
  layer.expert = gated_mlp(hidden, intermediate);
  layer.rest.plain += hidden * experts;
}

void add_deepseek_experts(const HfConfig& config, const Decoder& d, ModelLayer& layer) {
  const std::int64_t width = config.count("moe_intermediate_size");
  add_experts(d.hidden, width, config.count("n_routed_experts"), config.count("num_experts_per_tok"), layer);
  layer.mlp = gated_mlp(d.hidden, width * config.count_or("n_shared_experts", 1));
  layer.mlp_is_shared = true;
}

void add_gated_shared_expert(const HfConfig& config, const Decoder& d, ModelLayer& layer) {
  layer.mlp = gated_mlp(d.hidden, config.count("shared_expert_intermediate_size"));
  layer.mlp_is_shared = true;
  layer.rest.plain += d.hidden;  // its gate
}

std::int64_t read_window(const HfConfig& config) {
  const std::int64_t window = config.count_or("sliding_window", 0);
  const std::int64_t longest = window > 0 ? config.count_or("max_position_embeddings", 0) : 0;
  return longest > 0 && window >= longest ? 0 : window;
}

void make_window(std::int64_t tokens, ModelLayer& layer) {
  layer.kept.kind = "window";
  layer.kept.window = as_count(tokens);
}

std::vector<std::string> words_by_layer(const HfConfig& config, const std::string& key, std::int64_t layers,
                                        const std::vector<std::string>& known) {
  std::vector<std::string> words = config.texts(key);
  if (words.empty()) {
    return words;
  }
  if (words.size() != static_cast<std::size_t>(layers)) {
    config.fail(key + " has " + std::to_string(words.size()) + " entries, but num_hidden_layers is " +
                std::to_string(layers));
    return {};
  }
  for (const std::string& word : words) {
    if (std::find(known.begin(), known.end(), word) == known.end()) {
      config.fail(key + ": layers of " + in_quotes(word) + " are not known; the nearest known kind is " +
                  in_quotes(nearest_name(word, known)));
      return {};
    }
  }
  return words;
}

std::vector<bool> expert_layers(const HfConfig& config, const Decoder& decoder, std::int64_t first_dense_by_default) {
  const std::vector<std::string> words = words_by_layer(config, "mlp_layer_types", decoder.layers, {"dense", "sparse"});
  const std::int64_t dense = config.count_or("first_k_dense_replace", first_dense_by_default);
  if (config.has("first_k_dense_replace") && dense > decoder.layers) {
    config.fail("first_k_dense_replace = " + std::to_string(dense) + " is more than the " +
                std::to_string(decoder.layers) + " of num_hidden_layers");
  }
  std::vector<bool> experts;
  for (std::int64_t i = 0; i < decoder.layers; ++i) {
    experts.push_back(words.empty() ? i >= dense : words[static_cast<std::size_t>(i)] == "sparse");
  }
  return experts;
}

std::vector<bool> sparse_step_layers(const HfConfig& config, const Decoder& decoder) {
  const std::vector<std::int64_t> dense = config.counts("mlp_only_layers");
  const std::int64_t every = config.count_or("decoder_sparse_step", 1);
  std::vector<bool> experts;
  for (std::int64_t i = 0; i < decoder.layers; ++i) {
    experts.push_back(every > 0 && (i + 1) % every == 0 && std::find(dense.begin(), dense.end(), i) == dense.end());
  }
  return experts;
}

std::vector<bool> window_layers(const HfConfig& config, const Decoder& decoder, const std::vector<bool>& otherwise) {
  const std::vector<std::string> words =
      words_by_layer(config, "layer_types", decoder.layers, {"full_attention", "sliding_attention"});
  if (words.empty()) {
    return otherwise;
  }
  std::vector<bool> windows;
  for (const std::string& word : words) {
    windows.push_back(word == "sliding_attention");
  }
  return windows;
}

}  // namespace kvplace
