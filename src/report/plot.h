/// Plotly's figures as JSON, in the manner of this house.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "kvplace/report/page.h"

namespace kvplace {

using PlotJson = nlohmann::ordered_json;

/// A line, a bar and a dot of the same name have the same colour in all figures of a page.
[[nodiscard]] const char* plot_colour(std::size_t number);

/// A unit in which a time is a number of one to three digits.
struct PlotUnit {
  const char* name;  ///< "us"
  double seconds;
};
[[nodiscard]] PlotUnit time_unit(double seconds);
/// The same of bytes, in powers of 1024.
struct PlotBytes {
  const char* name;
  double bytes;
};
[[nodiscard]] PlotBytes bytes_unit(double bytes);

/// Points joined by lines. `x` and `y` are arrays as long.
[[nodiscard]] PlotJson line_trace(const std::string& name, PlotJson x, PlotJson y, const char* colour);
/// A line without points, for what no policy is.
[[nodiscard]] PlotJson reference_trace(const std::string& name, PlotJson x, PlotJson y, const char* dash);
/// Bars: horizontal ones have their names in `y`.
[[nodiscard]] PlotJson bar_trace(const std::string& name, PlotJson x, PlotJson y, const char* colour, bool horizontal);

[[nodiscard]] PlotJson plot_axis(const std::string& title, std::string_view type = "-");
/// `height` in pixels of the plot with its axes; the legend comes on top where the page is narrow.
[[nodiscard]] PlotJson plot_layout(PlotJson x_axis, PlotJson y_axis, int height);

/// A mark of the value that was asked for, on an axis with numbers.
void mark_asked(PlotJson& layout, double value, bool logarithmic);

[[nodiscard]] std::string plotly_text(PlotJson data, PlotJson layout);

/// "3.42": four digits.
[[nodiscard]] std::string plot_number(double value);

}  // namespace kvplace
