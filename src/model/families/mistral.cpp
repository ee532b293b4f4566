#include "model/support/parts.h"

namespace kvplace {
namespace {

/// Mistral and Ministral: a window in all layers, in those that layer_types says, or in none.
void read_mistral(const HfConfig& config, ModelShape& shape) {
  const Decoder decoder = read_decoder(config);
  const std::int64_t window = read_window(config);
  const std::vector<bool> windows =
      window_layers(config, decoder, std::vector<bool>(static_cast<std::size_t>(decoder.layers), true));
  const bool sparse = config.model_type() == "mixtral";
  for (std::size_t i = 0; i < static_cast<std::size_t>(decoder.layers); ++i) {
    ModelLayer layer;
    add_gqa(decoder, {}, layer);
    if (window > 0 && i < windows.size() && windows[i]) {
      make_window(window, layer);
    }
    const std::int64_t width = config.count("intermediate_size");
    if (sparse) {
      add_experts(decoder.hidden, width, config.count("num_local_experts"), config.count("num_experts_per_tok"), layer);
    } else {
      layer.mlp = gated_mlp(decoder.hidden, width);
    }
    layer.rest.plain += 2 * decoder.hidden;
    shape.layers.push_back(layer);
  }
  shape.outside = outside_weights(config, decoder);
}

}  // namespace

void register_family_mistral(FamilyRegistry& registry) {
  registry.add({{"mistral", "ministral", "ministral3", "mixtral"}, "Mistral, Ministral, Mixtral", &read_mistral});
}

}  // namespace kvplace
