#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "kvplace/generate/twin.h"

namespace kvplace {
namespace {

using Json = nlohmann::ordered_json;

/// 0.5 -> "0.5", 2 -> "2".
std::string multiple_text(double multiple) {
  std::array<char, 32> text{};
  (void)std::snprintf(text.data(), text.size(), "%g", multiple);
  return text.data();
}

Json figures_json(const LocalityFigures& figures, const std::vector<double>& multiples) {
  Json lru = Json::object();
  for (std::size_t i = 0; i < multiples.size(); ++i) {
    lru[multiple_text(multiples[i])] = figures.lru[i];
  }
  return {{"overlap", figures.overlap},
          {"lru_miss_by_k", lru},
          {"belady_miss_at_2k", figures.belady},
          {"reuse_distance_share", figures.reuse}};
}

}  // namespace

std::string to_json(const TwinReport& report) {
  const auto side = [&](const LocalityFigures& all, const std::vector<LocalityFigures>& layers,
                        const std::vector<double>& pooled) {
    Json json = figures_json(all, report.lru_multiples);
    Json by_multiple = Json::object();
    for (std::size_t i = 0; i < pooled.size(); ++i) {
      by_multiple[multiple_text(report.lru_multiples[i])] = pooled[i];
    }
    json["pooled_lru_miss_by_k"] = by_multiple;
    json["by_layer"] = Json::array();
    for (const LocalityFigures& layer : layers) {
      json["by_layer"].push_back(figures_json(layer, report.lru_multiples));
    }
    return json;
  };
  Json json{{"steps", report.steps},
            {"k", report.k},
            {"original", side(report.original, report.original_by_layer, report.original_pooled)},
            {"twin", side(report.twin, report.twin_by_layer, report.twin_pooled)}};
  json["original"]["overlap_across_layers"] = report.original_across_layers;
  json["twin"]["overlap_across_layers"] = report.twin_across_layers;
  return json.dump(2);
}

}  // namespace kvplace
