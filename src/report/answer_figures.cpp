// Of bound, size, budgets and advise.
#include <algorithm>
#include <array>
#include <utility>

#include "report/figure_parts.h"

namespace kvplace {

Figure bound_figure(const PlotJson& bound) {
  Figure figure{"bounds", "Proven bounds, and the schedule near them", {}, {}, {}};
  const PlotJson& steps = bound.at("instance").at("steps");
  const double count = std::max(1.0, steps.get<double>());
  PlotJson x{"bound", "any"};
  std::vector<double> seconds{bound.at("bound_s").get<double>() / count,
                              bound.at("any").at("bound_s").get<double>() / count};
  if (!bound.at("best_schedule_s").is_null()) {
    x.push_back("planned schedule");
    seconds.push_back(bound.at("best_schedule_s").get<double>() / count);
  }
  const PlotUnit unit = time_unit(seconds.front());
  PlotJson y = PlotJson::array();
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    y.push_back(seconds[i] / unit.seconds);
    figure.alt += (i == 0 ? "Time per decode step in " + std::string(unit.name) + ": " : ", ") +
                  x[i].get<std::string>() + " " + plot_number(y[i]);
  }
  figure.alt += ".";
  PlotJson layout = plot_layout(plot_axis(""), plot_axis(std::string("time per decode step, ") + unit.name), 340);
  layout["showlegend"] = false;
  figure.plotly =
      plotly_text(PlotJson::array({bar_trace("time per decode step", x, y, plot_colour(0), false)}), layout);
  figure.note = "bound: of " + bound.at("holds_for").get<std::string>() + "; any: of " +
                bound.at("any").at("holds_for").get<std::string>() + ".";
  return figure;
}

Figure budgets_figure(const PlotJson& budgets) {
  Figure figure{"budgets", "Near blocks by layer", {}, {}, {}};
  if (!budgets.contains("layer_budgets")) {
    figure.note = "No budgets by layer: " + budgets.at("why_none").get<std::string>() + ".";
    return figure;
  }
  const PlotJson& blocks = budgets.at("layer_budgets");
  PlotJson x = PlotJson::array();
  PlotJson equal = PlotJson::array();
  const double mean = budgets.at("total_blocks").get<double>() / static_cast<double>(blocks.size());
  for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
    x.push_back(layer);
    equal.push_back(mean);
  }
  PlotJson layout = plot_layout(plot_axis("layer"), plot_axis("blocks"), 340);
  figure.plotly = plotly_text(PlotJson::array({bar_trace("budgets found", x, blocks, plot_colour(0), false),
                                               reference_trace("equal", x, equal, "dash")}),
                              layout);
  const auto [least, most] = std::minmax_element(blocks.begin(), blocks.end());
  figure.alt = "Near blocks of each layer, from " + least->dump() + " in layer " +
               std::to_string(least - blocks.begin()) + " to " + most->dump() + " in layer " +
               std::to_string(most - blocks.begin()) + "; equal ones are " + plot_number(mean) + ".";
  const PlotJson& check = budgets.at("checks")[0];
  const auto far_reads = [&check](const char* whose) {
    return with_commas(check.at(whose).at("far_reads").get<std::uint64_t>());
  };
  figure.note =
      budgets.at("equal_are_better").get<bool>()
          ? "Unequal budgets had more far reads than equal ones, or took longer, when replayed: equal ones are shown."
          : "For the policy " + budgets.at("policy").get<std::string>() + ": " + far_reads("found") +
                " far reads on this trace, which they were made from, instead of " + far_reads("equal") + ".";
  return figure;
}

Figure size_figure(const PlotJson& size) {
  Figure figure{"size", "What was tried", {}, {}, {}};
  const std::string find = size.at("find");
  const bool of_bytes = find == "near-capacity";
  const bool of_link = find == "link";
  double largest = 0;
  for (const PlotJson& answer : size.at("answers")) {
    for (const PlotJson& probe : answer.at("brackets")) {
      largest = std::max(largest, probe.at("value").get<double>());
    }
  }
  if (largest <= 0) {
    figure.note = "Nothing was tried.";
    return figure;
  }
  const PlotBytes unit = of_bytes ? bytes_unit(largest) : of_link ? PlotBytes{"GB/s", 1e9} : PlotBytes{"", 1};
  const std::string axis = of_bytes           ? "near memory for KV, " + std::string(unit.name)
                           : of_link          ? "far.link_read, GB/s"
                           : find == "batch"  ? "requests"
                           : find == "buffer" ? "blocks per layer"
                                              : find;
  PlotJson data = PlotJson::array();
  std::size_t number = 0;
  for (const PlotJson& answer : size.at("answers")) {
    PlotJson x = PlotJson::array();
    PlotJson y = PlotJson::array();
    for (const PlotJson& probe : answer.at("brackets")) {
      x.push_back(probe.at("value").get<double>() / unit.bytes);
      y.push_back(probe.at("tokens_per_s"));
    }
    const std::string name = answer.at("policy");
    const PlotJson& found = answer.at("answer");
    figure.alt +=
        (number == 0 ? "Tokens/s of what was tried, found for the target " + size.at("target").get<std::string>() + ": "
                     : ", ") +
        name + " " +
        (found.is_null() ? "-"
                         : plot_number(found.at("value").get<double>() / unit.bytes) +
                               (unit.name[0] == 0 ? "" : " " + std::string(unit.name)));
    data.push_back(line_trace(name, x, y, answer.at("certified").get<bool>() ? kGrey : plot_colour(number)));
    ++number;
  }
  figure.alt += ".";
  figure.plotly = plotly_text(data, plot_layout(plot_axis(axis), plot_axis("tokens/s"), 420));
  figure.note = "(certified): proven.";
  return figure;
}

Figure advise_speed_figure(const PlotJson& advice) {
  Figure figure{"speed", "Speed by batch", {}, {}, {}};
  static constexpr std::array<std::pair<const char*, const char*>, 4> kSpeeds{{{"all_near", "all near"},
                                                                               {"engine", "engine as it ships"},
                                                                               {"best_policy", "best policy"},
                                                                               {"bound", "(certified)"}}};
  PlotJson data = PlotJson::array();
  std::string said;
  for (std::size_t k = 0; k < kSpeeds.size(); ++k) {
    PlotJson x = PlotJson::array();
    PlotJson y = PlotJson::array();
    for (const PlotJson& point : advice.at("points")) {
      if (const PlotJson& speed = point.at(kSpeeds[k].first); !speed.is_null()) {
        x.push_back(point.at("batch"));
        y.push_back(speed.at("tokens_per_s"));
      }
    }
    if (!x.empty()) {
      said += (said.empty() ? "" : ", ") + std::string(kSpeeds[k].second) + " " + plot_number(y.back()) + " with " +
              x.back().dump();
      data.push_back(k + 1 == kSpeeds.size() ? reference_trace(kSpeeds[k].second, x, y, "dash")
                                             : line_trace(kSpeeds[k].second, x, y, plot_colour(k)));
    }
  }
  if (data.empty()) {
    figure.note = "Nothing fits.";
    return figure;
  }
  figure.plotly = plotly_text(data, plot_layout(plot_axis("requests", "log"), plot_axis("tokens/s", "log"), 420));
  figure.alt = "Tokens/s of all requests by batch: " + said + " requests.";
  figure.note = "Both axes are logarithmic.";
  return figure;
}

Figure advise_spent_figure(const PlotJson& advice) {
  Figure figure{"spent", "Where a step's time goes", {}, {}, {}};
  static constexpr std::array<std::pair<const char*, const char*>, 5> kParts{{{"weights", "weights"},
                                                                              {"kv_near", "near"},
                                                                              {"link", "link"},
                                                                              {"selector", "selector"},
                                                                              {"overhead", "overhead"}}};
  PlotJson data = PlotJson::array();
  std::string said;
  for (std::size_t k = 0; k < kParts.size(); ++k) {
    PlotJson x = PlotJson::array();
    PlotJson y = PlotJson::array();
    for (const PlotJson& point : advice.at("points")) {
      if (!point.at("spent").is_null()) {
        x.push_back(point.at("batch").dump());
        y.push_back(point.at("spent").at(kParts[k].first));
      }
    }
    if (x.empty()) {
      figure.note = "Nothing fits.";
      return figure;
    }
    said += (k == 0 ? "" : ", ") + std::string(kParts[k].second) + " " + plot_number(y.back());
    data.push_back(bar_trace(kParts[k].second, x, y, plot_colour(k), false));
    if (k + 1 == kParts.size()) {
      figure.alt = "Milliseconds of a step by batch; with " + x.back().get<std::string>() + " requests " + said + ".";
    }
  }
  PlotJson layout = plot_layout(plot_axis("requests", "category"), plot_axis("ms per decode step"), 380);
  layout["barmode"] = "stack";
  figure.plotly = plotly_text(data, layout);
  figure.note = "Of the engine, else of the best policy. Link is all that is waited for beyond near memory.";
  return figure;
}

Figure advise_sensitivity_figure(const PlotJson& advice) {
  Figure figure{"sensitivity", "What an input 20 % lower or higher does", {}, {}, {}};
  const PlotJson& sensitivity = advice.at("sensitivity");
  if (sensitivity.empty()) {
    figure.note = "No input was varied.";
    return figure;
  }
  PlotJson names = PlotJson::array();
  PlotJson lower = PlotJson::array();
  PlotJson higher = PlotJson::array();
  for (const auto& [input, speeds] : sensitivity.items()) {
    names.push_back(input);
    lower.push_back(speeds.at("minus_20_percent"));
    higher.push_back(speeds.at("plus_20_percent"));
  }
  PlotJson layout = plot_layout(plot_axis("tokens/s of the " + advice.at("sensitivity_of").get<std::string>()),
                                plot_axis(""), 160 + 40 * static_cast<int>(names.size()));
  mark_asked(layout, advice.at("tokens_per_s"), false);
  figure.plotly = plotly_text(PlotJson::array({bar_trace("20 % lower", lower, names, plot_colour(0), true),
                                               bar_trace("20 % higher", higher, names, plot_colour(1), true)}),
                              layout);
  figure.alt = "Tokens/s with each of " + std::to_string(names.size()) + " inputs 20 % lower and higher, beside " +
               plot_number(advice.at("tokens_per_s")) + " as asked.";
  return figure;
}

}  // namespace kvplace
