#include <nlohmann/json.hpp>

#include "kvplace/advise/advise.h"
#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMilli = 1e-3;

Json json_of(const std::optional<Speed>& speed, bool with_policy) {
  if (!speed) {
    return nullptr;
  }
  Json json;
  if (with_policy) {
    json["policy"] = speed->policy;
  }
  json["tokens_per_s"] = speed->tokens_per_second;
  json["ms_per_token"] = speed->step_s / kMilli;
  return json;
}

Json json_of(const std::optional<Spent>& spent) {
  if (!spent) {
    return nullptr;
  }
  return {{"weights", spent->weights / kMilli},
          {"kv_near", spent->kv_near / kMilli},
          {"link", spent->link / kMilli},
          {"selector", spent->selector / kMilli},
          {"overhead", spent->overhead / kMilli}};
}

template <class T>
Json number_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

std::string to_text(FarHolds fit) {
  switch (fit) {
    case FarHolds::kKv:
      return "kv";
    case FarHolds::kExperts:
      return "experts";
    case FarHolds::kWeights:
      return "weights";
    case FarHolds::kNothing:
      break;
  }
  return "nothing";
}

}  // namespace

std::string to_json(const Advice& advice) {
  Json json;
  json["manifest"] = {{"version", advice.manifest.version},
                      {"commit", advice.manifest.commit},
                      {"machine", advice.manifest.machine},
                      {"inputs", Json::array()}};
  for (const auto& [file, digest] : advice.manifest.inputs) {
    json["manifest"]["inputs"].push_back({{"file", file}, {"digest", digest}});
  }
  const InstanceOptions& options = advice.spec.options;
  json["deployment"] = {{"model", advice.spec.model->name},
                        {"hardware", advice.spec.hardware.name},
                        {"engine", advice.spec.engine.name},
                        {"context", advice.context},
                        {"output", advice.output},
                        {"batch", options.batch},
                        {"gpus", options.gpus},
                        {"attention_tp", options.attention_tp.value_or(options.gpus)},
                        {"attention_dp", options.attention_dp.value_or(1)},
                        {"expert_parallel", options.expert_parallel},
                        {"kv_dtype", advice.spec.model->attention.dtype}};
  json["far_holds"] = to_text(advice.fit);
  json["near"] = {{"memory_bytes", advice.near.memory.value()},     {"weights_bytes", advice.near.weights.value()},
                  {"reserve_bytes", advice.near.reserve.value()},   {"selector_bytes", advice.near.selector.value()},
                  {"state_bytes", advice.near.state.value()},       {"window_bytes", advice.near.window.value()},
                  {"other_kv_bytes", advice.near.other_kv.value()}, {"kv_bytes", advice.near.kv.value()}};
  json["kv_bytes_per_request"] = advice.kv_per_request.value();
  json["requests_all_near"] = advice.requests_all_near;
  json["requests_tiered"] = advice.requests_tiered;
  json["crossover_batch"] = number_or_null(advice.crossover_batch);
  json["most_all_near"] = json_of(advice.most_all_near, false);
  json["target_batch"] = number_or_null(advice.target_batch);
  json["points"] = Json::array();
  for (const AdvicePoint& point : advice.points) {
    Json one;
    one["batch"] = point.batch;
    one["buffer_blocks"] = point.buffer_blocks;
    one["engine_buffer_blocks"] = point.engine_buffer_blocks;
    one["experts_near"] = point.experts_near;
    one["all_near"] = json_of(point.all_near, false);
    one["engine"] = json_of(point.engine, true);
    one["best_policy"] = json_of(point.best, true);
    if (point.bound_step_s) {
      one["bound"] = {{"tokens_per_s", point.batch / *point.bound_step_s},
                      {"ms_per_token", *point.bound_step_s / kMilli}};
    } else {
      one["bound"] = nullptr;
    }
    one["spent"] = json_of(point.spent);
    json["points"].push_back(std::move(one));
  }
  json["settings"] = Json::object();
  for (const auto& [engine, flags] : advice.settings) {
    json["settings"][engine] = flags;
  }
  json["buys"] = {{"gib_near", number_or_null(advice.gain_gib_near)},
                  {"gb_s_link", number_or_null(advice.gain_gb_s_link)},
                  {"gpu", number_or_null(advice.gain_gpu)},
                  {"more_gpus", advice.more_gpus}};
  json["workload"] = advice.workload;
  json["synthetic"] = advice.synthetic;
  json["layers"] = advice.layers;
  json["trace_layers"] = advice.trace_layers;
  json["block_tokens"] = advice.block_tokens;
  json["sensitivity"] = Json::object();
  for (const Sensitivity& one : advice.sensitivity) {
    json["sensitivity"][one.input] = {{"minus_20_percent", one.lower}, {"plus_20_percent", one.higher}};
  }
  json["sensitivity_of"] = advice.sensitive_speed;
  json["tokens_per_s"] = advice.base_tokens_per_second;
  json["assumes"] = advice.assumes;
  json["complete"] = advice.complete;
  return json.dump(2, ' ', true, Json::error_handler_t::replace);
}

}  // namespace kvplace
