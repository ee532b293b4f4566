#include "report/plot.h"

#include <array>
#include <cmath>

#include "kvplace/base/short_text.h"

namespace kvplace {

const char* plot_colour(std::size_t number) {
  // Paul Tol's bright and muted schemes, which people with colour blindness tell apart on light and on dark.
  static constexpr std::array<const char*, 14> kColours{"#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee",
                                                        "#aa3377", "#ee7733", "#44aa99", "#999933", "#cc6677",
                                                        "#8877cc", "#117733", "#ddaa77", "#0077bb"};
  return kColours[number % kColours.size()];
}

PlotUnit time_unit(double seconds) {
  if (seconds >= 1) {
    return {"s", 1};
  }
  if (seconds >= 1e-3) {
    return {"ms", 1e-3};
  }
  return seconds >= 1e-6 || seconds <= 0 ? PlotUnit{"us", 1e-6} : PlotUnit{"ns", 1e-9};
}

PlotBytes bytes_unit(double bytes) {
  if (bytes >= 0x1p30) {
    return {"GiB", 0x1p30};
  }
  return bytes >= 0x1p20 ? PlotBytes{"MiB", 0x1p20} : PlotBytes{"KiB", 0x1p10};
}

PlotJson line_trace(const std::string& name, PlotJson x, PlotJson y, const char* colour) {
  return {{"type", "scatter"},      {"mode", "lines+markers"}, {"name", name},
          {"x", std::move(x)},      {"y", std::move(y)},       {"line", {{"color", colour}, {"width", 2}}},
          {"marker", {{"size", 6}}}};
}

PlotJson reference_trace(const std::string& name, PlotJson x, PlotJson y, const char* dash) {
  return {{"type", "scatter"}, {"mode", "lines"},   {"name", name},
          {"x", std::move(x)}, {"y", std::move(y)}, {"line", {{"color", "#888888"}, {"width", 2}, {"dash", dash}}}};
}

PlotJson bar_trace(const std::string& name, PlotJson x, PlotJson y, const char* colour, bool horizontal) {
  return {{"type", "bar"},
          {"name", name},
          {"x", std::move(x)},
          {"y", std::move(y)},
          {"orientation", horizontal ? "h" : "v"},
          {"marker", {{"color", colour}}}};
}

PlotJson plot_axis(const std::string& title, std::string_view type) {
  return {{"title", {{"text", title}}}, {"type", type}, {"automargin", true}};
}

PlotJson plot_layout(PlotJson x_axis, PlotJson y_axis, int height) {
  return {{"xaxis", std::move(x_axis)},
          {"yaxis", std::move(y_axis)},
          {"height", height},
          {"hovermode", "closest"},
          {"margin", {{"l", 10}, {"r", 10}, {"t", 20}, {"b", 10}}},
          {"legend", {{"orientation", "h"}, {"x", 0}, {"xanchor", "left"}, {"y", 1.02}, {"yanchor", "bottom"}}}};
}

void mark_asked(PlotJson& layout, double value, bool logarithmic) {
  layout["shapes"] = PlotJson::array({{{"type", "line"},
                                       {"xref", "x"},
                                       {"yref", "paper"},
                                       {"x0", value},
                                       {"x1", value},
                                       {"y0", 0},
                                       {"y1", 1},
                                       {"line", {{"color", "#888888"}, {"width", 1}, {"dash", "dot"}}}}});
  layout["annotations"] = PlotJson::array({{{"text", "asked"},
                                            {"xref", "x"},
                                            {"yref", "paper"},
                                            {"x", logarithmic ? std::log10(value) : value},
                                            {"y", 1},
                                            {"xanchor", "left"},
                                            {"yanchor", "top"},
                                            {"showarrow", false}}});
}

std::string plotly_text(PlotJson data, PlotJson layout) {
  PlotJson figure;
  figure["data"] = std::move(data);
  figure["layout"] = std::move(layout);
  return figure.dump(-1, ' ', true, PlotJson::error_handler_t::replace);
}

std::string plot_number(double value) {
  constexpr double kRounding = 1e-12;  // of a difference; units are such that numbers are far from it
  return value < kRounding ? "0" : few_digits(value, 4);
}

}  // namespace kvplace
