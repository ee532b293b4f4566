/// A model for people and programs: what it weighs, keeps and reads.
#pragma once

#include <string>

#include "kvplace/model/model.h"

namespace kvplace {

/// Sums over all layers.
struct ModelTotals {
  Bytes kv_bytes_per_token;           ///< of layers whose KV grows with the text
  Bytes selector_bytes_per_token;     ///< index keys
  Bytes state_bytes_per_request;      ///< states of layers without KV
  Bytes window_bytes_per_request;     ///< full windows
  double weight_bytes_of_layers = 0;  ///< without embedding and head
};
[[nodiscard]] ModelTotals model_totals(const Model& model);

/// W(n): weights of all layers that a step of so many tokens reads, with uniform routing.
[[nodiscard]] double weight_bytes_read(const Model& model, double tokens);

/// One object, with the keys of docs/json.md: totals, and each layer in order.
[[nodiscard]] std::string to_json(const Model& model);

}  // namespace kvplace
