// Of a trace: miss ratios by layer, and reuse distances.
#include <algorithm>

#include "report/figure_parts.h"

namespace kvplace {

Figure misses_figure(const PlotJson& info) {
  Figure figure{"misses", "Miss ratio by layer and buffer", {}, {}, {}};
  const PlotJson& by_layer = info.at("lru_miss_by_capacity_by_layer");
  if (by_layer.empty() || by_layer[0].empty()) {
    figure.note = "The trace reads nothing that a buffer could hold.";
    return figure;
  }
  PlotJson x = PlotJson::array();
  for (const auto& [capacity, ratio] : by_layer[0].items()) {
    x.push_back(capacity);
  }
  PlotJson y = PlotJson::array();
  PlotJson z = PlotJson::array();
  std::size_t worst = 0;
  for (std::size_t layer = 0; layer < by_layer.size(); ++layer) {
    PlotJson row = PlotJson::array();
    for (const auto& [capacity, ratio] : by_layer[layer].items()) {
      row.push_back(ratio);
    }
    y.push_back(layer);
    z.push_back(row);
    worst = row.front() > z[worst].front() ? layer : worst;
  }
  const PlotJson heat{{"type", "heatmap"},
                      {"x", x},
                      {"y", y},
                      {"z", z},
                      {"colorscale", "Viridis"},
                      {"zmin", 0},
                      {"hovertemplate", "layer %{y}, %{x} blocks: %{z:.2%} of reads miss<extra></extra>"},
                      {"colorbar", {{"tickformat", ".0%"}, {"thickness", 12}}}};
  PlotJson layout = plot_layout(plot_axis("blocks per layer", "category"), plot_axis("layer"), 420);
  layout["yaxis"]["autorange"] = "reversed";
  figure.plotly = plotly_text(PlotJson::array({heat}), layout);
  const PlotJson& all = info.at("lru_miss_by_capacity");
  figure.alt = "Share of reads that miss an LRU list per layer: over all layers " + percent(all.front()) + " with " +
               all.begin().key() + " blocks per layer and " + percent(all.back()) + " with " +
               std::prev(all.end()).key() + "; with the smallest, layer " + std::to_string(worst) + " misses most, " +
               percent(z[worst].front()) + ".";
  figure.note = "LRU lists that are empty at the start, one for each layer.";
  return figure;
}

Figure reuse_figure(const PlotJson& info) {
  Figure figure{"reuse", "Reuse distance", {}, {}, {}};
  const PlotJson& distances = info.at("reuse_distance_steps");
  double reads = info.at("first_reads");
  for (const PlotJson& count : distances) {
    reads += count.get<double>();
  }
  if (reads <= 0) {
    figure.note = "The trace reads nothing.";
    return figure;
  }
  PlotJson x = PlotJson::array();
  PlotJson y = PlotJson::array();
  for (std::size_t i = 0; i < distances.size(); ++i) {
    const std::uint64_t first = std::uint64_t{1} << i;
    x.push_back(i == 0 ? "1" : with_commas(first) + "-" + with_commas(2 * first - 1));
    y.push_back(distances[i].get<double>() / reads);
  }
  x.push_back("first read");
  y.push_back(info.at("first_reads").get<double>() / reads);
  PlotJson layout = plot_layout(plot_axis("decode steps since the block was read last", "category"),
                                plot_axis("share of reads"), 340);
  layout["yaxis"]["tickformat"] = ".0%";
  layout["showlegend"] = false;
  figure.plotly = plotly_text(PlotJson::array({bar_trace("reads", x, y, plot_colour(0), false)}), layout);
  figure.alt = "Of the reads " + percent(y.front()) + " are of blocks read in the step before, and " +
               percent(y.back()) + " of blocks not read before.";
  return figure;
}

}  // namespace kvplace
