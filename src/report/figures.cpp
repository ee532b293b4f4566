#include "kvplace/report/figures.h"

#include <algorithm>
#include <map>

#include "report/figure_parts.h"

namespace kvplace {
namespace {

std::vector<Figure> of_report(const PlotJson& report) {
  std::vector<Figure> figures{times_figure(report.at("comparison"))};
  if (report.contains("near_capacity")) {
    figures.insert(figures.begin(), near_capacity_figure(report));
  }
  figures.push_back(spent_figure(report));
  figures.push_back(over_time_figure(report));
  if (report.contains("info")) {
    figures.push_back(misses_figure(report.at("info")));
    figures.push_back(reuse_figure(report.at("info")));
    figures.push_back(budgets_figure(report.at("budgets")));
    figures.push_back(link_figure(report));
  }
  return figures;
}

std::vector<Figure> of_kind(std::string_view kind, const PlotJson& json) {
  if (kind == "compare") {
    return {times_figure(json)};
  }
  if (kind == "report") {
    return of_report(json);
  }
  if (kind == "bound") {
    return {bound_figure(json)};
  }
  if (kind == "size") {
    return {size_figure(json)};
  }
  if (kind == "budgets") {
    return {budgets_figure(json)};
  }
  if (kind == "info") {
    return {misses_figure(json), reuse_figure(json)};
  }
  return {advise_speed_figure(json), advise_spent_figure(json), advise_sensitivity_figure(json)};
}

std::string cell(const PlotJson& value) {
  if (value.is_number_float()) {
    return plot_number(value);
  }
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string axis_title(const PlotJson& layout, const char* axis, const char* without) {
  const std::string title = layout.at(axis).at("title").at("text");
  return title.empty() ? without : title;
}

std::vector<std::vector<std::string>> table_of_heat(const PlotJson& trace, const PlotJson& layout) {
  std::vector<std::vector<std::string>> rows{
      {axis_title(layout, "yaxis", "policy") + " / " + axis_title(layout, "xaxis", "")}};
  for (const PlotJson& x : trace.at("x")) {
    rows.front().push_back(cell(x));
  }
  const PlotJson& values = trace.contains("text") ? trace.at("text") : trace.at("z");
  for (std::size_t y = 0; y < trace.at("y").size(); ++y) {
    rows.push_back({cell(trace.at("y")[y])});
    for (const PlotJson& value : values[y]) {
      rows.back().push_back(cell(value));
    }
  }
  return rows;
}

}  // namespace

Result<std::vector<Figure>> figures_of(std::string_view kind, const std::string& json) {
  static constexpr std::array<std::string_view, 7> kKinds{"compare", "report", "bound", "size",
                                                          "budgets", "info",   "advise"};
  if (std::find(kKinds.begin(), kKinds.end(), kind) == kKinds.end()) {
    return bad_input("no figures are known of " + in_quotes(kind));
  }
  try {
    return of_kind(kind, PlotJson::parse(json));
  } catch (const PlotJson::exception&) {
    return bad_input("this is no JSON of the verb " + std::string(kind));
  }
}

std::vector<std::vector<std::string>> table_of(const Figure& figure) {
  const PlotJson plotly = PlotJson::parse(figure.plotly);
  const PlotJson& layout = plotly.at("layout");
  const PlotJson& data = plotly.at("data");
  if (data[0].at("type") == "heatmap") {
    return table_of_heat(data[0], layout);
  }
  // Names lie along the upright axis, or along the other.
  const bool upright = data[0].at("y")[0].is_string();
  const char* key = upright ? "y" : "x";
  const char* value = upright ? "x" : "y";
  std::vector<std::vector<std::string>> rows{{axis_title(layout, upright ? "yaxis" : "xaxis", "")}};
  std::vector<std::pair<PlotJson, std::vector<std::string>>> found;  // by place on the axis
  for (std::size_t t = 0; t < data.size(); ++t) {
    rows.front().push_back(data[t].at("name"));
    for (std::size_t i = 0; i < data[t].at(key).size(); ++i) {
      const PlotJson& at = data[t].at(key)[i];
      auto row = std::find_if(found.begin(), found.end(), [&](const auto& r) { return r.first == at; });
      if (row == found.end()) {
        row = found.insert(found.end(), {at, std::vector<std::string>(data.size())});
      }
      row->second[t] = cell(data[t].at(value)[i]);
    }
  }
  if (!found.empty() && found.front().first.is_number()) {
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  }
  if (upright) {
    std::reverse(found.begin(), found.end());  // the axis begins at the bottom
  }
  for (auto& [at, cells] : found) {
    rows.push_back({cell(at)});
    rows.back().insert(rows.back().end(), cells.begin(), cells.end());
  }
  // What the figure of one value per name is of, stands on its other axis.
  if (const std::string of = axis_title(layout, upright ? "xaxis" : "yaxis", ""); !of.empty()) {
    rows.front().front() += (rows.front().front().empty() ? "" : "; ") + of;
  }
  return rows;
}

}  // namespace kvplace
