// Of a comparison: times, where a step's time goes, and the bottleneck over time.
#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "report/figure_parts.h"

namespace kvplace {
namespace {

/// A row of the figure of times.
struct TimedRow {
  std::string name;
  std::string knows;  ///< "bound" of what is no schedule
  double seconds = 0;
};

std::vector<TimedRow> timed_rows(const PlotJson& comparison, double tokens) {
  std::vector<TimedRow> rows;
  for (const PlotJson& result : comparison.at("results")) {
    rows.push_back({result_label(result), result.at("information"), result.at("total_s").get<double>() / tokens});
  }
  for (const auto& [key, name] : kBoundNames) {
    if (const PlotJson& bound = comparison.at("bounds").at(key); !bound.is_null()) {
      rows.push_back({name, "bound", bound.get<double>() / tokens});
    }
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const TimedRow& a, const TimedRow& b) { return a.seconds > b.seconds; });
  return rows;
}

/// Names of a page's policies from the slowest to the fastest, as the figure of times has them: the fastest on top.
std::vector<std::size_t> slowest_first(const PlotJson& comparison) {
  const PlotJson& results = comparison.at("results");
  std::vector<std::size_t> order(results.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return results[a].at("total_s").get<double>() > results[b].at("total_s").get<double>();
  });
  return order;
}

constexpr int kRowPixels = 26;
constexpr int kFramePixels = 130;

}  // namespace

double tokens_of(const PlotJson& comparison) {
  for (const PlotJson& result : comparison.at("results")) {
    if (const double rate = result.at("tokens_per_s").get<double>(); rate > 0) {
      return std::max(1.0, std::round(rate * result.at("total_s").get<double>()));
    }
  }
  return std::max(1.0, comparison.at("instance").at("tokens").get<double>());
}

std::string result_label(const PlotJson& result) {
  // Of a search the name asked for: what was found is long, and in the table.
  return result.contains("found") ? result.at("policy").get<std::string>()
                                  : PolicySpec{result.at("policy"), result.at("parameters").get<Parameters>()}.label();
}

Figure times_figure(const PlotJson& comparison) {
  Figure figure{"times", "Time per token by policy", {}, {}, {}};
  const std::vector<TimedRow> rows = timed_rows(comparison, tokens_of(comparison));
  if (comparison.at("results").empty()) {
    figure.note = "No policy ran.";
    return figure;
  }
  const PlotUnit unit = time_unit(rows.back().seconds);
  PlotJson data = PlotJson::array();
  static constexpr std::array<std::string_view, 6> kKnows{"causal", "ranked", "lookahead", "oracle", "ideal", "bound"};
  static constexpr std::array<const char*, 6> kSymbols{"circle", "square", "triangle-right", "diamond", "x", "line-ns"};
  PlotJson names = PlotJson::array();
  for (const TimedRow& row : rows) {
    names.push_back(row.name);
  }
  for (std::size_t k = 0; k < kKnows.size(); ++k) {
    PlotJson x = PlotJson::array();
    PlotJson y = PlotJson::array();
    PlotJson text = PlotJson::array();
    for (const TimedRow& row : rows) {
      if (row.knows == kKnows[k]) {
        x.push_back(row.seconds / unit.seconds);
        y.push_back(row.name);
        text.push_back(" " + plot_number(row.seconds / unit.seconds));
      }
    }
    if (!x.empty()) {
      PlotJson trace = line_trace(std::string(kKnows[k]), x, y, plot_colour(k));
      trace["mode"] = "markers+text";
      trace["text"] = text;
      trace["textposition"] = "middle right";
      trace["cliponaxis"] = false;
      trace["marker"] = {
          {"size", 11}, {"symbol", kSymbols[k]}, {"color", k + 1 == kKnows.size() ? kGrey : plot_colour(k)}};
      if (k + 1 == kKnows.size()) {
        trace["marker"]["line"] = {{"width", 3}, {"color", kGrey}};
      }
      data.push_back(std::move(trace));
    }
  }
  PlotJson x_axis = plot_axis(std::string("time per token, ") + unit.name, "log");
  const double least = std::log10(std::max(1e-12, rows.back().seconds / unit.seconds));
  const double most = std::log10(std::max(1e-12, rows.front().seconds / unit.seconds));
  const double span = std::max(0.1, most - least);
  x_axis["range"] = {least - 0.05 * span, most + 0.25 * span};  // room for the number of the last
  PlotJson y_axis = plot_axis("");
  y_axis["categoryorder"] = "array";
  y_axis["categoryarray"] = names;
  y_axis["dtick"] = 1;
  figure.plotly =
      plotly_text(data, plot_layout(x_axis, y_axis, kFramePixels + kRowPixels * static_cast<int>(rows.size())));
  std::string times;
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    times += (times.empty() ? "" : ", ") + row->name + " " + plot_number(row->seconds / unit.seconds);
  }
  figure.alt = std::string("Time per token in ") + unit.name + ", from the least: " + times + ".";
  figure.note =
      "The axis is logarithmic. What a policy knows: causal, the past; ranked, also the selector's runners-up; "
      "lookahead, some steps ahead; oracle, the whole trace.";
  return figure;
}

Figure spent_figure(const PlotJson& report) {
  Figure figure{"spent", "Where a step's time goes", {}, {}, {}};
  const PlotJson& spent = report.at("spent");
  if (spent.empty()) {
    figure.note = "No policy ran.";
    return figure;
  }
  const std::vector<std::size_t> order = slowest_first(report.at("comparison"));
  std::vector<double> sums;
  for (const std::size_t i : order) {
    double sum = 0;
    for (const auto& [key, name] : kSpentNames) {
      sum += spent[i].at(key).get<double>();
    }
    sums.push_back(sum);
  }
  const PlotUnit unit = time_unit(sums.back());
  PlotJson data = PlotJson::array();
  std::string fastest;
  for (std::size_t k = 0; k < kSpentNames.size(); ++k) {
    PlotJson x = PlotJson::array();
    PlotJson y = PlotJson::array();
    for (const std::size_t i : order) {
      x.push_back(spent[i].at(kSpentNames[k].first).get<double>() / unit.seconds);
      y.push_back(spent[i].at("policy"));
    }
    if (x.back().get<double>() > 0) {
      fastest += (fastest.empty() ? "" : ", ") + std::string(kSpentNames[k].second) + " " +
                 percent(x.back().get<double>() * unit.seconds / sums.back());
    }
    data.push_back(bar_trace(std::string(kSpentNames[k].second), x, y, plot_colour(k), true));
  }
  PlotJson x_axis = plot_axis(std::string("time per decode step, ") + unit.name);
  constexpr double kLongest = 4;  // times the shortest bar; longer ones would leave nothing to see of the others
  const double most = sums.front() / unit.seconds;
  const double end = std::min(most, kLongest * sums.back() / unit.seconds);
  if (end > 0) {
    x_axis["range"] = {0, end * (most > end ? 1 : 1.02)};
  }
  PlotJson y_axis = plot_axis("");
  y_axis["dtick"] = 1;
  PlotJson layout = plot_layout(x_axis, y_axis, kFramePixels + kRowPixels * static_cast<int>(order.size()));
  layout["barmode"] = "stack";
  figure.plotly = plotly_text(data, layout);
  figure.alt =
      "A step of " + spent[order.back()].at("policy").get<std::string>() + ": " + fastest + "; the others beside it.";
  figure.note = "Link is all that is waited for beyond near memory.";
  if (most > end) {
    figure.note += " Bars that end at the edge are longer: the table has them.";
  }
  return figure;
}

Figure over_time_figure(const PlotJson& report) {
  Figure figure{"over-time", "Bottleneck over time", {}, {}, {}};
  const PlotJson& over_time = report.at("over_time");
  const PlotJson& channels = over_time.at("channels");
  const std::vector<std::size_t> order = slowest_first(report.at("comparison"));
  if (order.empty() || over_time.at("first_step").empty()) {
    figure.note = "No policy ran.";
    return figure;
  }
  PlotJson z = PlotJson::array();
  PlotJson text = PlotJson::array();
  PlotJson y = PlotJson::array();
  std::vector<double> stretches(channels.size(), 0);
  for (const std::size_t i : order) {
    const PlotJson& policy = over_time.at("policies")[i];
    PlotJson slowest = PlotJson::array();
    PlotJson share = PlotJson::array();
    for (const PlotJson& steps : policy.at("bottleneck_steps")) {
      const auto counts = steps.get<std::vector<double>>();
      const auto most = std::max_element(counts.begin(), counts.end());
      double sum = 0;
      for (const double count : counts) {
        sum += count;
      }
      const auto channel = static_cast<std::size_t>(most - counts.begin());
      slowest.push_back(channel);
      share.push_back(channels[channel].get<std::string>() + " in " + percent(*most / std::max(1.0, sum), 0));
      stretches[channel] += 1;
    }
    z.push_back(std::move(slowest));
    text.push_back(std::move(share));
    y.push_back(policy.at("policy"));
  }
  const auto count = static_cast<double>(channels.size());
  PlotJson scale = PlotJson::array();
  PlotJson legend = PlotJson::array();  // of plotly's own a heat map has none of names
  for (std::size_t c = 0; c < channels.size(); ++c) {
    scale.push_back({static_cast<double>(c) / count, plot_colour(c)});
    scale.push_back({static_cast<double>(c + 1) / count, plot_colour(c)});
    if (stretches[c] > 0) {
      PlotJson name = line_trace(channels[c], PlotJson::array({nullptr}), PlotJson::array({nullptr}), plot_colour(c));
      name["mode"] = "markers";
      name["marker"] = {{"symbol", "square"}, {"size", 12}, {"color", plot_colour(c)}};
      legend.push_back(std::move(name));
    }
  }
  PlotJson data =
      PlotJson::array({{{"type", "heatmap"},
                        {"x", over_time.at("first_step")},
                        {"y", y},
                        {"z", z},
                        {"text", text},
                        {"hovertemplate", "%{y}, from decode step %{x}: %{text} of the steps<extra></extra>"},
                        {"colorscale", scale},
                        {"zmin", -0.5},
                        {"zmax", count - 0.5},
                        {"ygap", 2},
                        {"showscale", false}}});
  data.insert(data.end(), legend.begin(), legend.end());
  PlotJson y_axis = plot_axis("");
  y_axis["dtick"] = 1;
  figure.plotly = plotly_text(
      data, plot_layout(plot_axis("decode step"), y_axis, kFramePixels + kRowPixels * static_cast<int>(order.size())));
  const double all = static_cast<double>(order.size() * over_time.at("first_step").size());
  std::string shares;
  for (std::size_t c = 0; c < channels.size(); ++c) {
    if (stretches[c] > 0) {
      shares += (shares.empty() ? "" : ", ") + channels[c].get<std::string>() + " in " + percent(stretches[c] / all, 0);
    }
  }
  figure.alt = "The slowest channel of most steps, by policy and time: " + shares + " of all stretches.";
  figure.note = "The colour is the channel that takes longest in most steps of a stretch of " +
                std::to_string(over_time.at("steps").get<std::uint32_t>()) + " decode steps.";
  return figure;
}

}  // namespace kvplace
