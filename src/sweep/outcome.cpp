#include "sweep/outcome.h"

#include "kvplace/instance/resolve.h"
#include "simulate/result_fields.h"

namespace kvplace {
namespace {

using OutcomeJson = nlohmann::ordered_json;

template <class T>
OutcomeJson or_null(const std::optional<T>& value) {
  return value ? OutcomeJson(*value) : OutcomeJson(nullptr);
}

OutcomeJson speed_of(const std::optional<Speed>& speed) {
  return speed ? OutcomeJson(speed->tokens_per_second) : OutcomeJson(nullptr);
}

}  // namespace

void Outcome::set_trace(const TraceReader& trace) {
  columns_["trace"] = trace.path();
  trace_ = {{"path", trace.path()}, {"digest", trace.totals().digest}};
}

void Outcome::set_config(const InstanceSpec& spec) { columns_["config"] = to_toml(spec); }

void Outcome::add_error(Compute compute, const std::string& message, const std::string& policy) {
  OutcomeJson row{{"place", rows_["errors"].size()}, {"compute", to_text(compute)}};
  row["policy"] = policy.empty() ? OutcomeJson(nullptr) : OutcomeJson(policy);
  row["message"] = message;
  rows_["errors"].push_back(std::move(row));
}

void Outcome::set_bounds(const Bounds& bounds) {
  columns_["perfect_split_s"] = bounds.perfect_split.value();
  columns_["all_near_s"] = bounds.all_near.value();
}

void Outcome::set_proven(const ProvenBounds& proven) {
  columns_["certified_s"] = proven.step.verified.bound.value();
  columns_["any_s"] = proven.any.verified.bound.value();
  const bool converged =
      proven.step.status == SearchStatus::kConverged && proven.any.status == SearchStatus::kConverged;
  columns_["bound_status"] = to_text(converged ? SearchStatus::kConverged : SearchStatus::kTimeLimit);
}

void Outcome::add_result(std::size_t place, const ReplayResult& result, const Bounds& bounds, Seconds certified) {
  OutcomeJson row{{"place", place}, {"label", result.policy.label()}};
  const ResultContext context{result, bounds, certified};
  for (const ResultField& field : result_fields()) {
    row[field.key] = field.get(context);
  }
  rows_["results"].push_back(std::move(row));
}

void Outcome::add_sizes(const SizeResult& result) {
  for (const SizeAnswer& answer : result.answers) {
    OutcomeJson row{{"place", rows_["sizes"].size()},
                    {"policy", answer.name},
                    {"find", to_text(result.find)},
                    {"status", to_text(result.status)}};
    if (const std::optional<SizeProbe>& found = answer.answer) {
      row["value"] = found->value;
      row["near_bytes"] = found->near_bytes;
      row["link_bytes_per_s"] = found->link_bytes_per_second;
      row["batch"] = found->batch;
      row["total_s"] = found->total.value();
      row["tokens_per_s"] = found->tokens_per_second;
    }
    if (answer.crossover) {
      row["crossover_batch"] = answer.crossover->batch;
    }
    rows_["sizes"].push_back(std::move(row));
  }
}

void Outcome::add_advice(const Advice& advice) {
  for (const AdvicePoint& point : advice.points) {
    OutcomeJson row{{"batch", point.batch},
                    {"asked", &point == advice.asked() ? 1 : 0},
                    {"buffer_blocks", point.buffer_blocks},
                    {"all_near_tokens_per_s", speed_of(point.all_near)},
                    {"engine_tokens_per_s", speed_of(point.engine)},
                    {"best_tokens_per_s", speed_of(point.best)},
                    {"bound_step_s", or_null(point.bound_step_s)},
                    {"requests_all_near", advice.requests_all_near},
                    {"requests_tiered", advice.requests_tiered},
                    {"crossover_batch", or_null(advice.crossover_batch)}};
    if (point.best) {
      row["best_policy"] = point.best->policy;
      row["best_step_s"] = point.best->step_s;
    }
    rows_["advice"].push_back(std::move(row));
  }
}

PointOutcome Outcome::finish(double seconds) const {
  OutcomeJson json{{"point", point_}, {"points", columns_}, {"traces", trace_}, {"rows", rows_}, {"seconds", seconds}};
  json["points"]["status"] = rows_.contains("errors") ? "failed" : "done";
  return {point_, json.dump(-1, ' ', false, OutcomeJson::error_handler_t::replace)};
}

}  // namespace kvplace
