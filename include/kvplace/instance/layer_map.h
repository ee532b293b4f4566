/// Which layers of a model a trace's layers are: the one place that decides it (docs/deployments.md, "Layers").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kvplace/model/model.h"
#include "kvplace/trace/trace.h"

namespace kvplace {

/// The model's layers one by one.
[[nodiscard]] std::vector<LayerGroup> layers_of(const Model& model);

struct LayerMap {
  /// By layer of the trace: the layers of the model that read its ids of their own KV, ascending. Several where one
  /// picks for others (shared indexers). Empty if the trace only stands in.
  std::vector<std::vector<std::uint32_t>> reads;
  /// By layer of the model: the layer of the trace in whose step it runs, the last that begins before it. Empty if the
  /// trace only stands in.
  std::vector<std::uint32_t> runs_in;
  /// By layer of the model: its KV is in the trace, or would be if there were a layer for it.
  std::vector<bool> traced;
  /// The trace is of another number of layers: each is as the mean of those that are traced.
  bool stands_in = false;
  std::string text;  ///< what was decided, one clause
};

/// `model`: layer by layer, or with a mean layer.
[[nodiscard]] LayerMap map_layers(const Model& model, const TraceMeta& meta);

}  // namespace kvplace
