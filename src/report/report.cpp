#include "kvplace/report/report.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "kvplace/bound/certificate.h"
#include "kvplace/simulate/report.h"
#include "kvplace/simulate/spent.h"
#include "kvplace/size/report.h"
#include "report/plot.h"
#include "report/sweep.h"

namespace kvplace {
namespace {

/// Swept if the user named none: what moves nothing, what engines do, what this project does, and an oracle.
constexpr std::array<std::string_view, 5> kSweptByDefault{"static", "lru", "lru-global", "kvplace", "belady-global"};

std::vector<PolicySpec> swept_policies(const ReportOptions& options) {
  std::vector<PolicySpec> swept;
  for (const PolicySpec& policy : options.policies) {
    const Result<const PolicyInfo*> info = PolicyRegistry::instance().find(policy.name);
    const bool wanted = options.given || std::count(kSweptByDefault.begin(), kSweptByDefault.end(), policy.name) > 0;
    if (info && (*info)->runs_in_common_pass() && wanted) {
      swept.push_back(policy);
    }
  }
  return swept;
}

PlotJson json_of(const FigureSweep& sweep) {
  const auto seconds = [](const std::vector<Seconds>& times) {
    PlotJson json = PlotJson::array();
    for (const Seconds time : times) {
      json.push_back(time.value());
    }
    return json;
  };
  PlotJson json{{"values", sweep.values}, {"asked", sweep.asked}, {"policies", PlotJson::array()}};
  for (std::size_t i = 0; i < sweep.policies.size(); ++i) {
    json["policies"].push_back({{"policy", sweep.policies[i]}, {"total_s", seconds(sweep.time[i])}});
  }
  json["all_near_s"] = seconds(sweep.all_near);
  json["certified_s"] = seconds(sweep.certified);
  json["why_uncertified"] = sweep.why_uncertified;
  return json;
}

std::string label_of(const ReplayResult& result) {
  return result.found_by != result.policy.name ? result.found_by : result.policy.label();
}

PlotJson spent_json(const Comparison& comparison, const Instance& instance) {
  PlotJson json = PlotJson::array();
  for (const ReplayResult& result : comparison.results) {
    const Spent spent = spent_in_step(result, instance);
    json.push_back({{"policy", label_of(result)},
                    {"weights_s", spent.weights},
                    {"kv_near_s", spent.kv_near},
                    {"link_s", spent.link},
                    {"selector_s", spent.selector},
                    {"overhead_s", spent.overhead}});
  }
  return json;
}

PlotJson over_time_json(const Comparison& comparison, const Instance& instance) {
  const std::uint32_t steps = steps_of_stretch(instance.steps());
  PlotJson json{{"steps", steps}, {"first_step", PlotJson::array()}, {"channels", PlotJson::array()}};
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    json["channels"].push_back(channel_name(static_cast<Channel>(c)));
  }
  json["policies"] = PlotJson::array();
  for (const ReplayResult& result : comparison.results) {
    PlotJson bottlenecks = PlotJson::array();
    PlotJson times = PlotJson::array();
    for (const ReplayResult::Stretch& stretch : result.over_time) {
      bottlenecks.push_back(stretch.bottleneck_steps);
      times.push_back(stretch.time.value());
      if (json["policies"].empty()) {
        json["first_step"].push_back(json["first_step"].size() * steps);
      }
    }
    json["policies"].push_back({{"policy", label_of(result)}, {"total_s", times}, {"bottleneck_steps", bottlenecks}});
  }
  return json;
}

PlotJson comparison_json(const Comparison& comparison, const Instance& instance) {
  PlotJson json;
  json["comparison"] = PlotJson::parse(to_json(comparison, instance));
  json["spent"] = spent_json(comparison, instance);
  json["over_time"] = over_time_json(comparison, instance);
  return json;
}

std::string report_text(const PlotJson& json) { return json.dump(2, ' ', true, PlotJson::error_handler_t::replace); }

}  // namespace

Result<Report> make_report(const TraceReader& trace, const Instance& instance, const ReportOptions& options,
                           const RunContext& context) {
  const auto stopped = [] { return interrupted("stopped before the report was complete; nothing is written"); };
  Report report;
  const bool provable = bound_numbers(instance.for_bounds(), trace).has_value();
  KVPLACE_ASSIGN(comparison, make_comparison(trace, instance, {options.policies, provable, {}}, context));
  report.comparison = std::move(comparison);
  if (!report.comparison.complete || context.stop_requested()) {
    return stopped();
  }
  KVPLACE_ASSIGN(statistics, compute_statistics(trace, context));
  report.statistics = std::move(statistics);
  KVPLACE_ASSIGN(sweeps, sweep_figures(trace, instance, swept_policies(options), options.time_limit, context));
  report.near_capacity = std::move(sweeps.near_capacity);
  report.link = std::move(sweeps.link);
  const BudgetTrace divided{&trace, &instance};
  Result<LayerBudgets> budgets = find_budgets({&divided, 1}, {}, {{"lru", {}}, 0}, context);
  if (budgets) {
    report.budgets = std::move(*budgets);
  } else if (budgets.error().kind == ErrorKind::kBadInput) {
    report.why_no_budgets = budgets.error().message;
  } else {
    return tl::unexpected(budgets.error());
  }
  return context.stop_requested() ? Result<Report>(stopped()) : std::move(report);
}

std::string to_json(const Report& report, const TraceReader& trace, const Instance& instance) {
  PlotJson json = comparison_json(report.comparison, instance);
  json["info"] = PlotJson::parse(to_json(report.statistics, trace));
  json["near_capacity"] = json_of(report.near_capacity);
  json["link"] = json_of(report.link);
  json["budgets"] = report.budgets ? PlotJson::parse(to_json(*report.budgets, {&trace, &instance}))
                                   : PlotJson{{"why_none", report.why_no_budgets}};
  return report_text(json);
}

std::string comparison_report_json(const Comparison& comparison, const Instance& instance) {
  return report_text(comparison_json(comparison, instance));
}

}  // namespace kvplace
