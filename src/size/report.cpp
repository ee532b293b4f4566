#include "kvplace/size/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "kvplace/base/config.h"
#include "kvplace/base/parse.h"
#include "kvplace/instance/layer_budgets.h"
#include "kvplace/simulate/report.h"

namespace kvplace {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) { return json.dump(2, ' ', true, Json::error_handler_t::replace); }

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json json_of(const EngineSettings& settings) {
  return {{"top_k", settings.top_k},
          {"device_buffer_size", settings.device_buffer_size},
          {"host_to_device_ratio", settings.host_to_device_ratio},
          {"host_pool_gib", settings.host_pool_gib},
          {"sglang", settings.sglang},
          {"vllm", settings.vllm},
          {"assumes", settings.assumes}};
}

void put(const EngineAdvice& advice, Json& json) {
  json["engine_settings"] = advice.settings ? json_of(*advice.settings) : Json(nullptr);
  json["no_engine_settings"] = advice.settings ? Json(nullptr) : Json(advice.why_none);
}

Json json_of(const SizeProbe& probe) {
  return {{"value", probe.value},
          {"near_capacity_bytes", probe.near_bytes},
          {"link_bytes_per_s", probe.link_bytes_per_second},
          {"batch", probe.batch},
          {"total_s", probe.total.value()},
          {"tokens_per_s", probe.tokens_per_second},
          {"reached", probe.reached}};
}

Json json_of(const std::optional<SizeProbe>& probe) { return probe ? json_of(*probe) : Json(nullptr); }

Json json_of(const std::vector<SizeProbe>& probes) {
  Json json = Json::array();
  for (const SizeProbe& probe : probes) {
    json.push_back(json_of(probe));
  }
  return json;
}

Json json_of(const std::optional<SizeRange>& range) {
  return range ? Json{{"least", range->least}, {"most", range->most}, {"most_because", to_text(range->end)}}
               : Json(nullptr);
}

/// What a search ended by: both sides of the target, an end of its range, or what cut it short.
Json ended_by(const SizeResult& result, bool open, bool two_sides) {
  return open ? to_text(result.status) : std::string(two_sides ? "target" : "range");
}

Json json_of(const SizeResult& result, const SizeAnswer& answer) {
  Json json;
  json["policy"] = answer.name;
  json["certified"] = answer.certified;
  json["answer"] = json_of(answer.answer);
  json["neighbour"] = json_of(answer.neighbour);
  const bool is_cost = result.target.kind == SizeTarget::Kind::kCost;  // there is no other side
  json["ended_by"] = ended_by(result, answer.open, is_cost || (answer.answer && answer.neighbour));
  json["brackets"] = json_of(answer.probes);
  json["worth"] = nullptr;
  if (answer.worth) {
    json["worth"] = {{"gib_near_tokens_per_s", or_null(answer.worth->gib_near)},
                     {"gb_s_link_tokens_per_s", or_null(answer.worth->gb_s_link)},
                     {"point_of_sparsity_tokens_per_s", or_null(answer.worth->point_of_sparsity)},
                     {"capacity_price_s_per_gib", or_null(answer.worth->capacity_price_s_per_gib)}};
  }
  json["crossover"] = json_of(answer.crossover);
  const bool crossed = answer.crossover && answer.crossover_probes.front().value < answer.crossover->value;
  json["crossover_ended_by"] = answer.crossover_probes.empty() && !answer.crossover_open
                                   ? Json(nullptr)
                                   : ended_by(result, answer.crossover_open, crossed);
  json["crossover_brackets"] = json_of(answer.crossover_probes);
  return json;
}

Json json_of(const BudgetOutcome& outcome) {
  return {{"far_reads", outcome.far_reads}, {"total_s", outcome.total.value()}};
}

Json json_of(const std::optional<BudgetOutcome>& outcome) { return outcome ? json_of(*outcome) : Json(nullptr); }

Json json_of(const BudgetCheck& check) {
  Json json;
  json["file"] = check.file;
  json["held_out"] = check.held_out;
  json["reads"] = check.reads;
  json["equal"] = json_of(check.equal);
  json["found"] = json_of(check.found);
  json["own"] = json_of(check.own);
  json["others"] = json_of(check.others);
  json["from_each"] = Json::array();
  for (const BudgetOutcome& outcome : check.from_each) {
    json["from_each"].push_back(json_of(outcome));
  }
  return json;
}

std::string toml_of(const LayerBudgets& budgets) {
  const std::vector<double> blocks(budgets.blocks.begin(), budgets.blocks.end());
  std::string text = "# near blocks per layer of one request; read by --layer-budgets\n";
  text += std::string(kLayerBudgetsKey) + " = " + format_layer_shares(blocks) + "\n";
  text += "policy = " + toml_string(budgets.policy.text()) + "\n";
  text += "total_blocks = " + std::to_string(budgets.total_blocks) + "\n";
  text += "block_bytes = " + toml_string(format_bytes(budgets.block_bytes)) + "\n";
  text += "made_from = [";
  bool first = true;
  for (const BudgetCheck& check : budgets.checks) {
    if (!check.held_out) {
      text += (first ? "" : ", ") + toml_string(check.file);
      first = false;
    }
  }
  return text + "]\n";
}

}  // namespace

EngineAdvice engine_advice(const TraceReader& trace, const Instance& instance, const SizeResult& result) {
  const auto lru = std::find_if(result.answers.begin(), result.answers.end(),
                                [](const SizeAnswer& a) { return a.name == "lru" && a.answer; });
  if (lru == result.answers.end()) {
    return {std::nullopt, "lru has no answer"};
  }
  if (std::string obstacle = hisparse_obstacle(trace, instance); !obstacle.empty()) {
    return {std::nullopt, std::move(obstacle)};
  }
  const std::int64_t per_request = lru->answer->near_bytes / lru->answer->batch;
  const std::int64_t blocks = per_request / instance.kv_row_bytes().value();
  const std::uint64_t buffer = std::min<std::uint64_t>(static_cast<std::uint64_t>(blocks), instance.blocks_per_layer());
  return {engine_settings(instance, buffer, lru->answer->batch), {}};
}

EngineAdvice engine_advice(const BudgetTrace& trace, const LayerBudgets& budgets) {
  if (std::string obstacle = hisparse_obstacle(*trace.trace, *trace.instance); !obstacle.empty()) {
    return {std::nullopt, std::move(obstacle)};
  }
  const std::uint64_t mean = budgets.total_blocks / budgets.blocks.size();
  EngineSettings settings =
      engine_settings(*trace.instance, std::min<std::uint64_t>(mean, trace.instance->blocks_per_layer()),
                      trace.instance->options().batch);
  settings.assumes.insert(settings.assumes.begin(),
                          "the engines take one device_buffer_size for all layers, so these are equal budgets of the "
                          "same total; layer_budgets are what an engine with a size per layer would take");
  return {std::move(settings), {}};
}

std::string to_json(const SizeResult& result, const TraceReader& trace, const Instance& instance) {
  Json json;
  json["manifest"] = Json::parse(to_json(result.manifest));
  json["instance"] = Json::parse(to_json(instance));
  json["target"] = to_text(result.target);
  json["find"] = result.target.kind == SizeTarget::Kind::kCost ? "near-capacity and link" : to_text(result.find);
  json["status"] = to_text(result.status);
  json["range"] = json_of(result.range);
  json["all_near_tokens_per_s"] = result.all_near_tokens_per_second;
  json["all_near_batch"] = result.all_near_batch;
  json["all_near_batch_tokens_per_s"] = result.all_near_batch_tokens_per_second;
  json["crossover_range"] = json_of(result.crossover_range);
  json["answers"] = Json::array();
  for (const SizeAnswer& answer : result.answers) {
    json["answers"].push_back(json_of(result, answer));
  }
  put(engine_advice(trace, instance, result), json);
  return text_of(json);
}

std::string to_json(const LayerBudgets& budgets, const BudgetTrace& trace) {
  Json json;
  json["manifest"] = Json::parse(to_json(budgets.manifest));
  json["instance"] = Json::parse(to_json(*trace.instance));
  json["policy"] = budgets.policy.text();
  json[kLayerBudgetsKey] = budgets.blocks;
  json["equal_are_better"] = budgets.equal_are_better;
  json["total_blocks"] = budgets.total_blocks;
  json["block_bytes"] = budgets.block_bytes.value();
  json["mean_blocks"] = budgets.mean_blocks;
  json["deviation_blocks"] = budgets.deviation_blocks;
  json["from_each"] = budgets.from_each;
  json["checks"] = Json::array();
  for (const BudgetCheck& check : budgets.checks) {
    json["checks"].push_back(json_of(check));
  }
  put(engine_advice(trace, budgets), json);
  return text_of(json);
}

Status check_layer_budgets_name(const std::string& path) {
  if (!path.ends_with(".json") && !path.ends_with(".toml")) {
    return bad_input(path + ": budgets are written as .json or .toml");
  }
  return {};
}

Status write_layer_budgets(const std::string& path, const LayerBudgets& budgets, const BudgetTrace& trace) {
  KVPLACE_TRY(check_layer_budgets_name(path));
  const bool json = path.ends_with(".json");
  KVPLACE_ASSIGN(file, OutputFile::create(path));
  KVPLACE_TRY(file.write(json ? to_json(budgets, trace) + "\n" : toml_of(budgets)));
  return file.commit();
}

}  // namespace kvplace
