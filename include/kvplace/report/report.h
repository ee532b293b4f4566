/// The answer to look at and to send: `kvplace report`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kvplace/advise/advise.h"
#include "kvplace/report/page.h"
#include "kvplace/simulate/compare.h"
#include "kvplace/size/budgets.h"
#include "kvplace/trace/statistics.h"

namespace kvplace {

/// Times of policies on machines that differ in one figure.
struct FigureSweep {
  std::vector<double> values;         ///< ascending: near bytes for the KV of all requests, or far.link_read in bytes/s
  std::size_t asked = 0;              ///< the place of the instance's own among them
  std::vector<std::string> policies;  ///< labels
  std::vector<std::vector<Seconds>> time;  ///< [policy][value]
  std::vector<Seconds> all_near;           ///< [value]
  /// The certified bound of a free start, [value]; empty: `why_uncertified`.
  std::vector<Seconds> certified;
  std::string why_uncertified;
};

struct ReportOptions {
  std::vector<PolicySpec> policies;  ///< compared, and swept as far as one pass serves them
  bool given = false;                ///< the user named them; else few of them are swept
  Seconds time_limit{60};            ///< of the certified bounds of the sweeps together
};

struct Report {
  Comparison comparison;
  TraceStatistics statistics;
  FigureSweep near_capacity;
  FigureSweep link;
  std::optional<LayerBudgets> budgets;  ///< none: `why_no_budgets`
  std::string why_no_budgets;
};

/// Compares, proves bounds, and sweeps near capacity and link. Errors: as of make_comparison(); interrupted, without
/// any result.
[[nodiscard]] Result<Report> make_report(const TraceReader& trace, const Instance& instance,
                                         const ReportOptions& options, const RunContext& context);

/// With the keys of docs/json.md.
[[nodiscard]] std::string to_json(const Report& report, const TraceReader& trace, const Instance& instance);
/// What pages of a comparison show, with the keys that it shares with a report.
[[nodiscard]] std::string comparison_report_json(const Comparison& comparison, const Instance& instance);

/// What a page says beside its result.
struct PageWords {
  std::string title;
  std::string asked;
  std::vector<std::string> verdict;
  std::string described;  ///< all that was asked, as the command tells it
  std::string again;      ///< the commands that make it again
};

/// A page of a result. `kind` and `json`: as for figures_of().
[[nodiscard]] Result<Page> make_page(std::string_view kind, const std::string& json, const PageWords& words);

}  // namespace kvplace
