#include "kvplace/model/report.h"

#include <nlohmann/json.hpp>

namespace kvplace {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const LayerGroup& group, bool counted) {
  Json json;
  json["kind"] = group.kind;
  json["kv_bytes_per_token"] = group.kv_bytes_per_token.value();
  json["selector_bytes_per_token"] = group.selector_bytes_per_token.value();
  json["state_bytes_per_request"] = group.state_bytes_per_request.value();
  json["dense_parameters"] = counted ? Json(group.dense_parameters) : Json(nullptr);
  json["dense_weight_bytes"] = group.dense_weight_bytes.value();
  json["experts"] = group.experts;
  json["experts_per_token"] = group.experts_per_token;
  json["expert_parameters"] = counted ? Json(group.expert_parameters) : Json(nullptr);
  json["expert_bytes"] = group.expert_bytes.value();
  json["window"] = group.window > 0 ? Json(group.window) : Json(nullptr);
  return json;
}

}  // namespace

ModelTotals model_totals(const Model& model) {
  ModelTotals totals;
  for (const LayerGroup& group : layer_groups(model)) {
    const std::int64_t layers = num_layers(group);
    totals.kv_bytes_per_token += group.grows() ? group.kv_bytes_per_token * layers : Bytes(0);
    totals.selector_bytes_per_token += group.selector_bytes_per_token * layers;
    totals.state_bytes_per_request += group.state_bytes_per_request * layers;
    totals.window_bytes_per_request += window_bytes(group) * layers;
    totals.weight_bytes_of_layers +=
        static_cast<double>(layers) *
        static_cast<double>((group.dense_weight_bytes + group.expert_bytes * std::int64_t{group.experts}).value());
  }
  return totals;
}

double weight_bytes_read(const Model& model, double tokens) {
  double read = 0;
  for (const LayerGroup& group : layer_groups(model)) {
    const double experts = distinct_experts(group.experts, group.experts_per_token, tokens);
    read += num_layers(group) * (static_cast<double>(group.dense_weight_bytes.value()) +
                                 experts * static_cast<double>(group.expert_bytes.value()));
  }
  return read;
}

std::string to_json(const Model& model) {
  const ModelTotals totals = model_totals(model);
  Json json;
  json["name"] = model.name;
  json["description"] = model.description;
  json["parameters"] = model.parameters > 0 ? Json(model.parameters) : Json(nullptr);
  json["weight_bytes"] = model.weight_bytes.value();
  json["kv_dtype"] = model.attention.dtype;
  json["kv_bytes_per_token"] = totals.kv_bytes_per_token.value();
  json["selector_bytes_per_token"] = totals.selector_bytes_per_token.value();
  json["state_bytes_per_request"] = (totals.state_bytes_per_request + totals.window_bytes_per_request).value();
  json["window_bytes_per_request"] = totals.window_bytes_per_request.value();
  std::vector<Json> layers(model.layers);
  for (const LayerGroup& group : layer_groups(model)) {
    const Json layer = json_of(group, !model.groups.empty() && group.dense_parameters > 0);
    for (const std::uint32_t at : parse_layer_set(group.at).value_or(std::vector<std::uint32_t>())) {
      layers[at] = layer;
    }
  }
  json["layers"] = layers;
  return json.dump(2, ' ', true, Json::error_handler_t::replace);
}

}  // namespace kvplace
