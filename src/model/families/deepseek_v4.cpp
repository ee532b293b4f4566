#include <algorithm>

#include "model/support/parts.h"

namespace kvplace {
namespace {

constexpr const char* kWindow = "sliding_attention";
constexpr const char* kSparse = "compressed_sparse_attention";
constexpr const char* kHeavy = "heavily_compressed_attention";

/// One word per layer: layer_types, else compress_ratios (0, 4 or 128), else heavy layers in every second place.
std::vector<std::string> attention_kinds(const HfConfig& config, const Decoder& decoder) {
  const auto layers = static_cast<std::size_t>(decoder.layers);
  std::vector<std::string> kinds = words_by_layer(config, "layer_types", decoder.layers, {kWindow, kSparse, kHeavy});
  if (!kinds.empty()) {
    return kinds;
  }
  const std::vector<std::int64_t> ratios = config.counts("compress_ratios");
  if (!ratios.empty() && ratios.size() < layers) {
    config.fail("compress_ratios has " + std::to_string(ratios.size()) + " entries, but num_hidden_layers is " +
                std::to_string(decoder.layers));
  }
  for (std::size_t i = 0; i < layers; ++i) {
    if (i < ratios.size()) {
      kinds.emplace_back(ratios[i] == 0 ? kWindow : ratios[i] == 4 ? kSparse : kHeavy);
    } else {
      kinds.emplace_back(i >= 2 && i % 2 != 0 ? kSparse : kHeavy);
    }
  }
  return kinds;
}

/// Tokens that share an entry.
std::int64_t compression(const HfConfig& config, bool sparse) {
  const std::int64_t by_kind = config.nested_or("compress_rates", sparse ? kSparse : kHeavy, "", sparse ? 4 : 128);
  return std::max<std::int64_t>(1, config.count_or(sparse ? "compress_rate_csa" : "compress_rate_hca", by_kind));
}

/// Keys and values of several tokens in one entry; those that overlap are made from twice as much.
void add_compressor(const HfConfig& config, const Decoder& decoder, bool sparse, ModelLayer& layer) {
  const std::int64_t tokens = compression(config, sparse);
  const std::int64_t made = decoder.head_dim * (sparse ? 2 : 1);
  layer.attention.linear += 2 * decoder.hidden * made;
  layer.attention.plain += tokens * made + decoder.head_dim;
  layer.kept.kind = "mla";
  layer.kept.tokens_per_entry = static_cast<std::uint32_t>(tokens);
}

void add_v4_indexer(const HfConfig& config, const Decoder& decoder, std::int64_t query_rank, ModelLayer& layer) {
  constexpr std::int64_t kScaleBytes = 4;
  const std::int64_t tokens = compression(config, true);
  const std::int64_t heads = config.count("index_n_heads");
  const std::int64_t width = config.count("index_head_dim");
  layer.attention.linear +=
      4 * decoder.hidden * width + config.width("index_n_heads x index_head_dim", heads * width) * query_rank;
  layer.attention.plain += tokens * 2 * width + width + decoder.hidden * heads;
  layer.kept.selector_bytes_per_token = Bytes((width + kScaleBytes + tokens - 1) / tokens);
}

/// Multi-query attention over a window and over compressed entries, of which an indexer picks where few tokens share
/// one; several residual streams.
void read_deepseek_v4(const HfConfig& config, ModelShape& shape) {
  const Decoder decoder = read_decoder(config, {.kv_heads = 1, .head_dim = 512});
  const std::int64_t query_rank = config.count("q_lora_rank");
  const std::int64_t groups = config.count("o_groups");
  const std::int64_t output_rank = config.width("o_groups x o_lora_rank", groups * config.count("o_lora_rank"));
  const std::int64_t streams = config.count_or("hc_mult", 4);
  const std::int64_t mixed = config.width("hc_mult x (hc_mult + 2)", streams * (streams + 2));
  const std::int64_t queries = decoder.heads * decoder.head_dim;
  const std::int64_t rope = config.count_or("qk_rope_head_dim", decoder.head_dim / 8);
  const std::int64_t window = config.count_or("sliding_window", 128);
  if (config.error()) {
    return;  // products of what is absurd
  }
  if (rope >= decoder.head_dim) {
    config.fail("qk_rope_head_dim = " + std::to_string(rope) +
                " is no part of head_dim = " + std::to_string(decoder.head_dim));
  }
  shape.sparse_top_k = config.count("index_topk");
  for (const std::string& kind : attention_kinds(config, decoder)) {
    ModelLayer layer;
    layer.query_heads = decoder.heads;
    layer.attention.linear = decoder.hidden * (query_rank + decoder.head_dim + output_rank) + query_rank * queries +
                             output_rank * (queries / groups);
    layer.attention.plain = decoder.heads + query_rank + decoder.head_dim;
    make_window(window, layer);
    layer.kept.latent_dim = static_cast<std::uint32_t>(std::max<std::int64_t>(0, decoder.head_dim - rope));
    layer.kept.rope_dim = static_cast<std::uint32_t>(rope);
    if (kind != kWindow) {
      add_compressor(config, decoder, kind == kSparse, layer);
    }
    if (kind == kSparse) {
      add_v4_indexer(config, decoder, query_rank, layer);
    }
    add_deepseek_experts(config, decoder, layer);
    layer.rest.plain += 2 * decoder.hidden + 2 * (mixed * streams * decoder.hidden + mixed + 3);
    shape.layers.push_back(layer);
  }
  shape.outside = outside_weights(config, decoder);
  shape.outside.plain += streams * streams * decoder.hidden + streams + 1;
}

}  // namespace

void register_family_deepseek_v4(FamilyRegistry& registry) {
  registry.add({{"deepseek_v4"}, "DeepSeek-V4", &read_deepseek_v4});
}

}  // namespace kvplace
