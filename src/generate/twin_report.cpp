#include <algorithm>
#include <array>
#include <cmath>
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
  return {{"reads", figures.reads},
          {"overlap", figures.overlap},
          {"lru_miss_by_k", lru},
          {"belady_miss_at_2k", figures.belady},
          {"reuse_distance_share", figures.reuse}};
}

}  // namespace

double twin_tolerance(double original, double reads) {
  constexpr double kShare = 0.10;
  constexpr double kDeviations = 3;
  return std::max(kShare * original, reads > 0 ? kDeviations * std::sqrt(original / reads) : 0);
}

std::vector<std::string> beyond_tolerance(const TwinReport& report) {
  std::vector<std::string> beyond;
  const auto check = [&beyond](const std::string& what, double original, double twin, double reads) {
    if (std::abs(twin - original) > twin_tolerance(original, reads)) {
      std::array<char, 80> figures{};
      (void)std::snprintf(figures.data(), figures.size(), ": %.5f instead of %.5f", twin, original);
      beyond.push_back(what + figures.data());
    }
  };
  for (std::size_t layer = 0; layer < report.original_by_layer.size(); ++layer) {
    const LocalityFigures& original = report.original_by_layer[layer];
    const LocalityFigures& twin = report.twin_by_layer[layer];
    const std::string of_layer = " of layer " + std::to_string(layer);
    check("overlap" + of_layer, original.overlap, twin.overlap, original.reads);
    for (std::size_t i = 0; i < report.lru_multiples.size(); ++i) {
      check("LRU misses at " + multiple_text(report.lru_multiples[i]) + " k" + of_layer, original.lru[i], twin.lru[i],
            original.reads);
    }
  }
  const double reads = report.original.reads;
  for (std::size_t i = 0; i < report.lru_multiples.size(); ++i) {
    check("LRU misses over all layers at " + multiple_text(report.lru_multiples[i]) + " k", report.original_pooled[i],
          report.twin_pooled[i], reads);
  }
  check("Belady misses at 2 k", report.original.belady, report.twin.belady, reads);
  for (std::size_t i = 0; i < report.original.reuse.size(); ++i) {
    check("reads 2^" + std::to_string(i) + " steps or more after the last", report.original.reuse[i],
          i < report.twin.reuse.size() ? report.twin.reuse[i] : 0, reads);
  }
  return beyond;
}

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
  json["beyond_tolerance"] = beyond_tolerance(report);
  json["original"]["overlap_across_layers"] = report.original_across_layers;
  json["twin"]["overlap_across_layers"] = report.twin_across_layers;
  return json.dump(2);
}

}  // namespace kvplace
