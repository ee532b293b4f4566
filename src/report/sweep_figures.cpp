// Of a report's sweeps: time per token against near capacity, and against the link.
#include <algorithm>

#include "report/figure_parts.h"

namespace kvplace {
namespace {

/// What lies along the axis.
struct SweepAxis {
  const char* what;  ///< "near memory for KV"
  std::string unit;
  double of_unit;
};

/// Seconds as a JSON array in a unit.
PlotJson in_unit(const PlotJson& seconds, double tokens, const PlotUnit& unit) {
  PlotJson out = PlotJson::array();
  for (const PlotJson& value : seconds) {
    out.push_back(value.get<double>() / tokens / unit.seconds);
  }
  return out;
}

double least_of(const PlotJson& sweep, const char* key) {
  double least = 0;
  for (const PlotJson& value : sweep.at(key)) {
    least = least > 0 ? std::min(least, value.get<double>()) : value.get<double>();
  }
  return least;
}

void draw_sweep(const PlotJson& report, const PlotJson& sweep, const SweepAxis& axis, Figure& figure) {
  const double tokens = tokens_of(report.at("comparison"));
  const PlotUnit unit = time_unit(least_of(sweep, "all_near_s") / tokens);
  PlotJson x = PlotJson::array();
  for (const PlotJson& value : sweep.at("values")) {
    x.push_back(value.get<double>() / axis.of_unit);
  }
  PlotJson data = PlotJson::array();
  const PlotJson& results = report.at("comparison").at("results");
  const auto time_text = [&](double seconds) { return plot_number(seconds / tokens / unit.seconds) + " " + unit.name; };
  std::string times;
  const auto asked = sweep.at("asked").get<std::size_t>();
  for (const PlotJson& policy : sweep.at("policies")) {
    const std::string name = policy.at("policy");
    std::size_t number = 0;
    while (number < results.size() && result_label(results[number]) != name) {
      ++number;
    }
    data.push_back(line_trace(name, x, in_unit(policy.at("total_s"), tokens, unit), plot_colour(number)));
    times += name + " " + time_text(policy.at("total_s")[asked]) + ", ";
  }
  data.push_back(reference_trace("(all near)", x, in_unit(sweep.at("all_near_s"), tokens, unit), "dot"));
  const PlotJson& certified = sweep.at("certified_s");
  if (!certified.empty()) {
    data.push_back(reference_trace("(certified)", x, in_unit(certified, tokens, unit), "dash"));
  }
  PlotJson layout = plot_layout(plot_axis(std::string(axis.what) + ", " + axis.unit, "log"),
                                plot_axis(std::string("time per token, ") + unit.name, "log"), 460);
  mark_asked(layout, x[asked].get<double>(), true);
  figure.plotly = plotly_text(data, layout);
  figure.alt = std::string("Time per token against ") + axis.what + " from " + plot_number(x.front()) + " to " +
               plot_number(x.back()) + " " + axis.unit + ": at the " + plot_number(x[asked]) + " " + axis.unit +
               " asked for " + times + "(all near) " + time_text(sweep.at("all_near_s")[asked]) +
               (certified.empty() ? std::string() : ", (certified) " + time_text(certified[asked])) + ".";
  figure.note =
      "Both axes are logarithmic; the dotted upright is what was asked for. " +
      (certified.empty() ? "There is no certified bound here: " + sweep.at("why_uncertified").get<std::string>() + "."
                         : std::string("(certified): proven, whatever is near at the start."));
}

}  // namespace

Figure near_capacity_figure(const PlotJson& report) {
  Figure figure{"near-capacity", "Time per token against near capacity", {}, {}, {}};
  const PlotJson& sweep = report.at("near_capacity");
  if (sweep.at("values").empty()) {
    figure.note = "There is no other near capacity to show.";
    return figure;
  }
  const PlotBytes unit = bytes_unit(sweep.at("values")[sweep.at("asked").get<std::size_t>()]);
  const bool experts = !report.at("comparison").at("instance").at("expert_bytes_by_layer").empty();
  draw_sweep(report, sweep, {experts ? "near memory for KV and experts" : "near memory for KV", unit.name, unit.bytes},
             figure);
  return figure;
}

Figure link_figure(const PlotJson& report) {
  Figure figure{"link", "Time per token against the link", {}, {}, {}};
  const PlotJson& sweep = report.at("link");
  if (sweep.at("values").empty()) {
    figure.note = "There is no other link to show.";
    return figure;
  }
  draw_sweep(report, sweep, {"far.link_read", "GB/s", 1e9}, figure);
  return figure;
}

}  // namespace kvplace
