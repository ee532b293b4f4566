/// Parts that families have in common: what each keeps and how many parameters it has.
#pragma once

#include <string>
#include <vector>

#include "model/support/family.h"

namespace kvplace {

/// What nearly every decoder's config says.
struct Decoder {
  std::int64_t layers = 1;
  std::int64_t hidden = 1;
  std::int64_t heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t head_dim = 1;
  std::int64_t vocab = 1;
};

/// Where a config may leave something out, what its class takes.
struct DecoderDefaults {
  std::int64_t vocab = 0;  ///< 0: must be there
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;  ///< 0: as many as heads
  std::int64_t head_dim = 0;  ///< 0: hidden / heads
};
[[nodiscard]] Decoder read_decoder(const HfConfig& config, const DecoderDefaults& defaults = {});

/// Embedding, head (unless it is the embedding) and last norm.
[[nodiscard]] Weights outside_weights(const HfConfig& config, const Decoder& decoder, bool tied_by_default = false);

struct GqaParts {
  bool qkv_bias = false;
  bool output_bias = false;
  bool gated_query = false;  ///< queries twice as wide, for an output gate
  bool head_norms = false;   ///< of queries and keys, over a head
};
/// Queries, keys, values and output; also sets the KV that the layer keeps.
void add_gqa(const Decoder& decoder, const GqaParts& parts, ModelLayer& layer);

/// Multi-head latent attention of DeepSeek: keys kv_lora_rank, qk_rope_head_dim, q_lora_rank (or null), ...
void add_mla(const HfConfig& config, const Decoder& decoder, ModelLayer& layer);

/// The lightning indexer of DeepSeek sparse attention: index_n_heads, index_head_dim; its keys are kept in fp8 with a
/// scale of 4 bytes each.
void add_indexer(const HfConfig& config, const Decoder& decoder, ModelLayer& layer);

/// Gate, up and down.
[[nodiscard]] Weights gated_mlp(std::int64_t hidden, std::int64_t intermediate, bool bias = false);

/// Router, routed experts of gate, up and down.
void add_experts(std::int64_t hidden, std::int64_t intermediate, std::int64_t experts, std::int64_t per_token,
                 ModelLayer& layer);

/// Routed experts beside shared ones, as DeepSeek names them: moe_intermediate_size, n_routed_experts,
/// num_experts_per_tok, n_shared_experts.
void add_deepseek_experts(const HfConfig& config, const Decoder& decoder, ModelLayer& layer);

/// The expert that every token uses, behind a gate of its own (Qwen): shared_expert_intermediate_size.
void add_gated_shared_expert(const HfConfig& config, const Decoder& decoder, ModelLayer& layer);

/// Tokens of sliding_window; 0 if there is none, or none that is shorter than max_position_embeddings.
[[nodiscard]] std::int64_t read_window(const HfConfig& config);
/// Turns a full layer into one that keeps a window.
void make_window(std::int64_t tokens, ModelLayer& layer);

/// Entries of a list that says one word for each layer; an error if it has another length or another word than those.
/// Empty if the config has no such list.
[[nodiscard]] std::vector<std::string> words_by_layer(const HfConfig& config, const std::string& key,
                                                      std::int64_t layers, const std::vector<std::string>& known);

/// Whether a layer's MLP are experts: mlp_layer_types, else all from first_k_dense_replace on.
[[nodiscard]] std::vector<bool> expert_layers(const HfConfig& config, const Decoder& decoder,
                                              std::int64_t first_dense_by_default);

/// Whether a layer's MLP are experts, of a model that has them: each decoder_sparse_step-th, none of mlp_only_layers.
[[nodiscard]] std::vector<bool> sparse_step_layers(const HfConfig& config, const Decoder& decoder);

/// Whether a layer has a window by layer_types ("sliding_attention" beside "full_attention"); `otherwise` without it.
[[nodiscard]] std::vector<bool> window_layers(const HfConfig& config, const Decoder& decoder,
                                              const std::vector<bool>& otherwise);

}  // namespace kvplace
