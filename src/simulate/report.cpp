#include "kvplace/simulate/report.h"

#include <nlohmann/json.hpp>

#include "kvplace/instance/resolve.h"
#include "simulate/result_fields.h"

namespace kvplace {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Manifest& manifest) {
  Json json;
  json["version"] = manifest.version;
  json["commit"] = manifest.commit;
  json["machine"] = manifest.machine;
  json["inputs"] = Json::array();
  for (const auto& [file, digest] : manifest.inputs) {
    json["inputs"].push_back({{"file", file}, {"digest", digest}});
  }
  return json;
}

template <class T>
Json json_of_fields(std::span<const Field<T>> fields, const T& value) {
  Json json = Json::object();
  for (const Field<T>& field : fields) {
    const std::string text = field.get(value);
    if (!text.empty()) {
      json[field.key] = field.is_text ? Json(text) : Json::parse(text, nullptr, false);
    }
  }
  return json;
}

/// One GPU's share; bytes of its near memory, which add up.
Json json_of(const GpuShare& share, const InstanceOptions& options) {
  Json json;
  json["layers"] = share.layers_are.empty() ? Json(nullptr) : Json(share.layers_are);
  json["gpus"] = options.gpus;
  json["attention_tp"] = share.attention_tp;
  json["attention_dp"] = share.attention_dp;
  json["requests_per_gpu"] = share.requests;
  json["kv_bytes_per_token_per_layer"] = share.kv_bytes_per_token.value();
  json["experts"] = share.experts;
  json["distinct_experts_per_step"] = share.distinct_experts;
  json["weight_bytes_per_step"] = share.weight_bytes_per_step.value();
  json["other_bytes_per_step"] = share.other_bytes_per_step.value();
  const NearBudget& near = share.near;
  json["near"] = {{"memory_bytes", near.memory.value()},     {"weights_bytes", near.weights.value()},
                  {"reserve_bytes", near.reserve.value()},   {"selector_bytes", near.selector.value()},
                  {"state_bytes", near.state.value()},       {"window_bytes", near.window.value()},
                  {"other_kv_bytes", near.other_kv.value()}, {"kv_bytes", near.kv.value()}};
  return json;
}

/// A number, or where layers differ a list of one for each.
void add_layer_sizes(const Instance& instance, Json& json) {
  Json blocks = Json::array();
  Json new_kv = Json::array();
  for (std::uint32_t layer = 0; layer < instance.layers(); ++layer) {
    blocks.push_back(instance.kv_block_bytes(LayerIndex(layer)).value());
    new_kv.push_back(instance.new_kv_bytes(LayerIndex(layer)).value());
  }
  json["block_bytes"] = instance.has_like_layers() ? blocks.front() : blocks;
  json["new_kv_bytes_per_layer_per_step"] = instance.has_like_layers() ? new_kv.front() : new_kv;
}

Json json_of(const Instance& instance) {
  const InstanceSpec& spec = instance.spec();
  Json json;
  if (spec.engine != Engine()) {
    json["engine"] = json_of_fields<Engine>(engine_fields(), spec.engine);
  }
  json["hardware"] = json_of_fields<Hardware>(hardware_fields(spec.hardware), spec.hardware);
  json["model"] = spec.model ? json_of_fields<Model>(model_fields(*spec.model), *spec.model) : Json(nullptr);
  json["options"] = json_of_fields<InstanceOptions>(option_fields(), spec.options);
  json["layers"] = instance.layers();
  json["steps"] = instance.steps();
  json["tokens"] = instance.tokens_before(instance.steps());
  json["blocks_per_layer"] = instance.blocks_per_layer();
  add_layer_sizes(instance, json);
  json["expert_bytes_by_layer"] = Json::array();
  for (std::uint32_t layer = 0; instance.layout().experts > 0 && layer < instance.layers(); ++layer) {
    json["expert_bytes_by_layer"].push_back(instance.expert_bytes(LayerIndex(layer)).value());
  }
  json["weight_bytes_per_step"] = instance.weight_bytes_per_step().value();
  json["near_capacity_bytes_per_request"] = instance.capacity().value();
  if (instance.share().deployment) {
    json["deployment"] = json_of(instance.share(), spec.options);
  }
  json["mode"] = to_text(spec.options.mode);
  json["notes"] = instance.notes();
  return json;
}

std::string holds_for(const Certificate& certificate) {
  return "schedules " + proven_schedules(certificate.claim, certificate.numbers.barrier, certificate.numbers.batch);
}

Json json_of(const ResultContext& context) {
  Json json;
  for (const ResultField& field : result_fields()) {
    Json value = field.get(context);
    if (!field.optional || !value.is_null()) {
      json[field.key] = std::move(value);
    }
  }
  return json;
}

Json json_of(const Bounds& bounds, const std::optional<ProvenBound>& proven, const std::optional<ProvenBound>& any,
             Mode mode) {
  Json json;
  json["perfect_split_s"] = bounds.perfect_split.value();
  json["all_near_s"] = bounds.all_near.value();
  json["certified_s"] = proven ? Json(proven->verified.bound.value()) : Json(nullptr);
  json["certified_status"] = proven ? Json(to_text(proven->status)) : Json(nullptr);
  json["certified_holds_for"] = proven ? Json(holds_for(proven->certificate)) : Json(nullptr);
  json["certified_any_s"] = any ? Json(any->verified.bound.value()) : Json(nullptr);
  json["certified_any_status"] = any ? Json(to_text(any->status)) : Json(nullptr);
  json["certified_any_holds_for"] = any ? Json(holds_for(any->certificate)) : Json(nullptr);
  json["certified_mode"] = to_text(mode);
  return json;
}

Json json_of(const MissCurve& curve) {
  Json json = Json::object();
  for (std::size_t i = 0; i < curve.capacity_blocks.size(); ++i) {
    json[std::to_string(curve.capacity_blocks[i])] = curve.miss_ratio[i];
  }
  return json;
}

std::string text_of(const Json& json) { return json.dump(2, ' ', true, Json::error_handler_t::replace); }

}  // namespace

std::string to_json(const Comparison& comparison, const Instance& instance) {
  Json json;
  json["manifest"] = json_of(comparison.manifest);
  json["instance"] = json_of(instance);
  json["status"] = comparison.complete ? "complete" : "interrupted";
  json["bounds"] = json_of(comparison.bounds, comparison.proven, comparison.proven_any, instance.options().mode);
  const std::optional<bool> matters = comparison.placement_matters();
  json["placement_matters"] = matters ? Json(*matters) : Json(nullptr);
  json["static_s"] = comparison.static_time ? Json(comparison.static_time->value()) : Json(nullptr);
  const Seconds certified = comparison.covering() != nullptr ? comparison.covering()->verified.bound : Seconds(0);
  json["results"] = Json::array();
  for (const ReplayResult& result : comparison.results) {
    json["results"].push_back(json_of(ResultContext{result, comparison.bounds, certified}));
  }
  return text_of(json);
}

std::string to_json(const ReplayResult& result, const Bounds& bounds, const Manifest& manifest,
                    const Instance& instance) {
  Json json;
  json["manifest"] = json_of(manifest);
  json["instance"] = json_of(instance);
  json["status"] = result.steps == instance.steps() ? "complete" : "interrupted";
  json["bounds"] = json_of(bounds, std::nullopt, std::nullopt, instance.options().mode);
  json["result"] = json_of(ResultContext{result, bounds, Seconds(0), true});
  return text_of(json);
}

std::string to_json(const Proof& proof, const Instance& instance) {
  const auto number = [](const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); };
  Json json;
  json["manifest"] = json_of(proof.manifest);
  json["instance"] = json_of(instance);
  json["bound_s"] = proof.bound.verified.bound.value();
  json["bound_exact"] = proof.bound.verified.bound_exact;
  json["holds_for"] = holds_for(proof.bound.certificate);
  json["best_schedule_s"] = proof.schedule ? Json(proof.schedule->total.value()) : Json(nullptr);
  json["gap"] = number(proof.gap());
  json["seconds"] = proof.seconds.value();
  json["search_seconds"] = proof.bound.seconds.value();
  json["evaluations"] = proof.bound.evaluations;
  json["status"] = to_text(proof.bound.status);
  json["planning_status"] = proof.planning ? Json(to_text(*proof.planning)) : Json(nullptr);
  json["capacity_price_s_per_gib"] = proof.bound.capacity_price_s_per_byte * 0x1p30;
  json["any"] = {{"bound_s", proof.any.verified.bound.value()},   {"bound_exact", proof.any.verified.bound_exact},
                 {"holds_for", holds_for(proof.any.certificate)}, {"search_seconds", proof.any.seconds.value()},
                 {"evaluations", proof.any.evaluations},          {"status", to_text(proof.any.status)}};
  if (proof.exact) {
    json["exact"] = {{"lp_s", proof.exact->lp_optimal ? Json(proof.exact->lp.value()) : Json(nullptr)},
                     {"milp_s", proof.exact->milp ? Json(proof.exact->milp->value()) : Json(nullptr)},
                     {"milp_optimal", proof.exact->milp_optimal},
                     {"variables", proof.exact->variables},
                     {"rows", proof.exact->rows}};
  }
  return text_of(json);
}

std::string to_json(const Certificate* certificate, const VerifiedBound* bound, const std::string& reason) {
  Json json;
  json["valid"] = bound != nullptr;
  json["bound_s"] = bound != nullptr ? Json(bound->bound.value()) : Json(nullptr);
  json["bound_decimal"] = bound != nullptr ? Json(bound->bound_decimal) : Json(nullptr);
  json["bound_exact"] = bound != nullptr ? Json(bound->bound_exact) : Json(nullptr);
  json["holds_for"] = bound != nullptr ? Json(holds_for(*certificate)) : Json(nullptr);
  json["reason"] = reason;
  json["certificate"] = certificate != nullptr ? Json::parse(to_json(*certificate)) : Json(nullptr);
  return text_of(json);
}

std::string to_json(const Manifest& manifest) { return text_of(json_of(manifest)); }

std::string to_json(const Instance& instance) { return text_of(json_of(instance)); }

std::string to_json(const TraceStatistics& statistics, const TraceReader& trace) {
  const TraceMeta& meta = trace.meta();
  const TraceTotals& totals = trace.totals();
  Json json;
  json["manifest"] = {{"file", trace.path()}, {"digest", totals.digest}, {"recovered", trace.recovered()}};
  json["layers"] = meta.layers;
  json["steps"] = totals.steps;
  json["tokens"] = totals.tokens();
  json["verified_per_step"] = totals.verified_per_step();
  json["prompt_tokens"] = meta.layout.prompt_tokens;
  json["block_tokens"] = meta.layout.block_tokens;
  json["blocks"] = totals.blocks_per_layer;
  json["reads"] = totals.reads;
  json["reads_per_step"] = statistics.reads_per_step;
  json["overlap_by_layer"] = statistics.overlap_by_layer;
  json["overlap"] = statistics.overlap;
  json["lru_miss_by_capacity"] = json_of(statistics.lru);
  json["lru_miss_by_capacity_by_layer"] = Json::array();
  for (const MissCurve& curve : statistics.lru_by_layer) {
    json["lru_miss_by_capacity_by_layer"].push_back(json_of(curve));
  }
  json["lru_pooled_miss_by_capacity"] = json_of(statistics.lru_pooled);
  json["reuse_distance_steps"] = statistics.reuse_distance_steps;
  json["first_reads"] = statistics.first_reads;
  constexpr std::uint32_t kUsualWindow = 50;  // decode steps, as published figures use
  const auto usual = statistics.working_set.find(kUsualWindow);
  json["working_set"] = usual != statistics.working_set.end() ? Json(usual->second) : Json(nullptr);
  json["working_set_by_window"] = Json::object();
  for (const auto& [window, blocks] : statistics.working_set) {
    json["working_set_by_window"][std::to_string(window)] = blocks;
  }
  json["density"] = statistics.density;
  json["recent_share"] = statistics.recent_share;
  json["first_share"] = statistics.first_share;
  json["ranks"] = meta.has_ranking;
  json["experts"] = meta.layout.experts;
  json["first_layer"] = meta.first_layer;
  json["expert_bytes_by_layer"] = Json::array();
  for (const Bytes size : meta.expert_bytes) {
    json["expert_bytes_by_layer"].push_back(size.value());
  }
  json["prompt_experts_by_layer"] = Json::array();
  for (const std::vector<std::uint32_t>& list : meta.prompt_experts) {
    json["prompt_experts_by_layer"].push_back(list.size());
  }
  json["requests"] = meta.layout.requests;
  if (const ServedRequests* served = meta.layout.served.get()) {
    json["served"] = {{"most_running", served->most_running()},
                      {"mean_running", static_cast<double>(totals.tokens()) / totals.steps},
                      {"most_tokens", served->most_tokens()},
                      {"most_pages", served->most_pages()}};
  } else {
    json["served"] = nullptr;
  }
  json["block_bytes"] = meta.block_bytes ? Json(meta.block_bytes->value()) : Json(nullptr);
  json["model"] = meta.model;
  json["selection"] = meta.selection;
  json["source"] = meta.source;
  json["measurements"] = meta.measurements;
  return text_of(json);
}

}  // namespace kvplace
