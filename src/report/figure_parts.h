/// The figures, one function each, and what they share. Each takes the JSON of docs/json.md.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "kvplace/base/short_text.h"
#include "kvplace/policy/registry.h"
#include "kvplace/report/page.h"
#include "report/plot.h"

namespace kvplace {

inline constexpr const char* kGrey = "#888888";

/// Keys of "bounds", and what the command calls them.
inline constexpr std::array<std::pair<const char*, const char*>, 4> kBoundNames{
    {{"all_near_s", "(all near)"},
     {"certified_s", "(certified)"},
     {"certified_any_s", "(any)"},
     {"perfect_split_s", "(perfect split)"}}};

/// Keys of what a step is spent on, in seconds.
inline constexpr std::array<std::pair<const char*, const char*>, 5> kSpentNames{{{"weights_s", "weights"},
                                                                                 {"kv_near_s", "near"},
                                                                                 {"link_s", "link"},
                                                                                 {"selector_s", "selector"},
                                                                                 {"overhead_s", "overhead"}}};

/// Tokens that a comparison's times are of.
[[nodiscard]] double tokens_of(const PlotJson& comparison);
/// A result's name in figures: its policy, with the parameters that are not at their defaults.
[[nodiscard]] std::string result_label(const PlotJson& result);

// Of compare, and of a report.
[[nodiscard]] Figure times_figure(const PlotJson& comparison);
[[nodiscard]] Figure spent_figure(const PlotJson& report);
[[nodiscard]] Figure over_time_figure(const PlotJson& report);
[[nodiscard]] Figure near_capacity_figure(const PlotJson& report);
[[nodiscard]] Figure link_figure(const PlotJson& report);
// Of a trace.
[[nodiscard]] Figure misses_figure(const PlotJson& info);
[[nodiscard]] Figure reuse_figure(const PlotJson& info);
// Of other verbs.
[[nodiscard]] Figure budgets_figure(const PlotJson& budgets);
[[nodiscard]] Figure bound_figure(const PlotJson& bound);
[[nodiscard]] Figure size_figure(const PlotJson& size);
[[nodiscard]] Figure advise_speed_figure(const PlotJson& advice);
[[nodiscard]] Figure advise_spent_figure(const PlotJson& advice);
[[nodiscard]] Figure advise_sensitivity_figure(const PlotJson& advice);

}  // namespace kvplace
