#include "served_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "kvplace/base/short_text.h"

namespace kvplace::cli {
namespace {

const ReplayResult* find(const Comparison& comparison, const std::string& policy) {
  const auto found = std::find_if(comparison.results.begin(), comparison.results.end(), [&](const ReplayResult& r) {
    return r.found_by == policy && r.policy.name == policy;
  });
  return found == comparison.results.end() ? nullptr : &*found;
}

/// What one buffer for all requests gives over one for each: both are least recently used in each layer.
std::string pooling_verdict(const Comparison& comparison, const Instance& instance) {
  const ReplayResult* const pool = find(comparison, "lru");
  const ReplayResult* const fixed = find(comparison, "hisparse");
  if (pool == nullptr || fixed == nullptr || !comparison.complete) {
    return {};
  }
  const double change = pool->total / fixed->total - 1;
  const std::string what = std::abs(change) < 0.005 ? "as much time as"
                                                    : fmt::format("{:.1f} % {} time than", 100 * std::abs(change),
                                                                  change < 0 ? "less" : "more");
  return fmt::format("One buffer per layer for all requests (lru) takes {} a fixed one for each of {} (hisparse).\n",
                     what, instance.layout().most_running());
}

}  // namespace

std::string requests_text(const ServedRequests& served) {
  std::uint32_t least = served.all().front().prompt_tokens;
  std::uint32_t most = least;
  std::uint64_t tokens = 0;
  for (const ServedRequest& request : served.all()) {
    least = std::min(least, request.prompt_tokens);
    most = std::max(most, request.prompt_tokens);
    tokens += request.end_step - request.first_step;
  }
  return fmt::format("{} requests, {} at once at most and {:.3g} in the mean, prompts of {} tokens",
                     with_commas(served.all().size()), served.most_running(),
                     static_cast<double>(tokens) / served.steps(),
                     least == most ? with_commas(most) : with_commas(least) + " to " + with_commas(most));
}

std::string served_table(const Comparison& comparison, const Instance& instance) {
  std::vector<const ReplayResult*> rows;
  std::size_t width = 6;
  for (const ReplayResult& result : comparison.results) {
    if (result.token_times && result.information != Information::kIdeal) {
      rows.push_back(&result);
      width = std::max(width, result.found_by.size());
    }
  }
  if (rows.empty()) {
    return {};
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const ReplayResult* a, const ReplayResult* b) { return a->total > b->total; });
  std::string out = fmt::format("{:<{}}  {:>10}  {:>10}  {:>10}\n", "served", width, "tokens/s", "p50", "p99");
  for (const ReplayResult* row : rows) {
    out += fmt::format("{:<{}}  {:>10}  {:>10}  {:>10}\n", row->found_by, width,
                       with_commas(static_cast<std::uint64_t>(row->tokens_per_second)),
                       short_time(row->token_times->p50.value()), short_time(row->token_times->p99.value()));
  }
  out += "tokens/s: of all requests. p50, p99: a request waits so long for half and for 99 % of its tokens.\n";
  return out + pooling_verdict(comparison, instance);
}

}  // namespace kvplace::cli
