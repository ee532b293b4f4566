#include "kvplace/instance/layer_map.h"

#include <algorithm>

#include "kvplace/model/layers.h"

namespace kvplace {
namespace {

using Layers = std::vector<std::uint32_t>;

template <class Belongs>
Layers where(const std::vector<LayerGroup>& layers, const Belongs& belongs) {
  Layers found;
  for (std::uint32_t at = 0; at < layers.size(); ++at) {
    if (belongs(layers[at])) {
      found.push_back(at);
    }
  }
  return found;
}

/// Layers before the first with experts, if there are any.
std::uint32_t dense_layers(const std::vector<LayerGroup>& layers) {
  const auto first = std::find_if(layers.begin(), layers.end(), [](const LayerGroup& l) { return l.experts > 0; });
  return first == layers.end() ? 0 : static_cast<std::uint32_t>(first - layers.begin());
}

/// The trace's layers are these of the model, in their order.
void take(const std::vector<LayerGroup>& layers, const Layers& taken, LayerMap& map) {
  for (const std::uint32_t at : taken) {
    map.reads.push_back({at});
    map.traced[at] = layers[at].has_kv();
  }
  map.runs_in.assign(layers.size(), 0);
  for (std::uint32_t at = 0; at < layers.size(); ++at) {
    const auto behind = std::upper_bound(taken.begin(), taken.end(), at);
    map.runs_in[at] = behind == taken.begin() ? 0 : static_cast<std::uint32_t>(behind - taken.begin()) - 1;
  }
}

/// Layers whose KV grows as that of the one before them with an indexer, and that have none, read what it picks.
std::uint32_t share_choices(const std::vector<LayerGroup>& layers, LayerMap& map) {
  std::uint32_t shared = 0;
  for (std::uint32_t at = 0; at < layers.size(); ++at) {
    Layers& reads = map.reads[map.runs_in[at]];
    const LayerGroup& picks = layers[reads.front()];
    if (at > reads.front() && layers[at].grows() && layers[at].selector_bytes_per_token == Bytes(0) &&
        layers[at].kv_bytes_per_token == picks.kv_bytes_per_token) {
      reads.push_back(at);
      map.traced[at] = true;
      ++shared;
    }
  }
  return shared;
}

}  // namespace

std::vector<LayerGroup> layers_of(const Model& model) {
  std::vector<LayerGroup> layers(model.layers);
  for (const LayerGroup& group : layer_groups(model)) {
    for (const std::uint32_t at : parse_layer_set(group.at).value_or(Layers())) {
      if (at < layers.size()) {
        layers[at] = group;
      }
    }
  }
  return layers;
}

LayerMap map_layers(const Model& model, const TraceMeta& meta) {
  const std::vector<LayerGroup> layers = layers_of(model);
  const auto grows = [](const LayerGroup& layer) { return layer.grows(); };
  LayerMap map;
  map.traced.assign(layers.size(), false);
  const std::string count = std::to_string(meta.layers);
  const std::string of_model = " of " + (model.name.empty() ? "the model" : model.name);
  if (meta.layers == layers.size()) {
    take(layers, where(layers, [](const LayerGroup&) { return true; }), map);
    map.text = "all " + count + of_model;
    return map;
  }
  const Layers indexers =
      where(layers, [](const LayerGroup& l) { return l.grows() && l.selector_bytes_per_token > Bytes(0); });
  const Layers growing = where(layers, grows);
  if (indexers.size() == meta.layers) {
    take(layers, indexers, map);
    const std::uint32_t shared = share_choices(layers, map);
    map.text = "the " + count + of_model + " with an indexer" +
               (shared > 0 ? ", each with those that read what it picks (" + std::to_string(shared) + " more)" : "");
    return map;
  }
  if (growing.size() == meta.layers) {
    take(layers, growing, map);
    map.text = "the " + count + of_model + " whose KV grows";
    return map;
  }
  Bytes most;
  for (const std::uint32_t at : growing) {
    most = std::max(most, layers[at].kv_bytes_per_token);
  }
  const Layers widest = where(layers, [&](const LayerGroup& l) { return l.grows() && l.kv_bytes_per_token == most; });
  if (widest.size() == meta.layers) {
    take(layers, widest, map);
    map.text = "the " + count + of_model + " with the most KV";
    return map;
  }
  const std::uint32_t first = meta.first_layer > 0 ? meta.first_layer : dense_layers(layers);
  if (first > 0 && std::uint64_t{first} + meta.layers == layers.size()) {
    Layers taken(meta.layers);
    for (std::uint32_t i = 0; i < meta.layers; ++i) {
      taken[i] = first + i;
    }
    take(layers, taken, map);
    map.text = "layers " + std::to_string(first) + " to " + std::to_string(layers.size() - 1) + of_model;
    return map;
  }
  map.stands_in = true;
  map.text = "stand in for the " + std::to_string(layers.size()) + of_model;
  for (std::uint32_t at = 0; at < layers.size(); ++at) {
    map.traced[at] = growing.empty() ? layers[at].has_kv() : layers[at].grows();
  }
  return map;
}

}  // namespace kvplace
