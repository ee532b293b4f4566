/// The locality by which a twin is held against its original.
#pragma once

#include <cstdint>
#include <vector>

#include "generate/layer_reads.h"

namespace kvplace::generate {

/// LRU capacities that are measured, as multiples of k, the mean reads per step.
inline constexpr double kLruMultiples[] = {1, 1.5, 2, 3, 4};
inline constexpr std::size_t kNumLruMultiples = std::size(kLruMultiples);

struct LayerLocality {
  double overlap = 0;
  double reads = 0;
  std::vector<double> lru;    ///< miss ratio by multiple; counted like MissCurve
  double belady = 0;          ///< miss ratio at 2 k with bypass
  std::vector<double> reuse;  ///< share of reads by power of two of the steps since the last read
};

/// Miss ratios of an LRU list by multiple of k.
[[nodiscard]] std::vector<double> measure_lru(const LayerReads& reads, double k);

/// `k` is the unit of the capacities.
[[nodiscard]] LayerLocality measure(const LayerReads& reads, double k);

/// Mean share of a layer's reads that the layer half the layers away reads in the same step, over some of the steps.
[[nodiscard]] double measure_across_layers(const std::vector<LayerReads>& layers);

/// Miss ratios of one LRU list over all layers, with places for multiples of k blocks per layer.
[[nodiscard]] std::vector<double> measure_pooled(const std::vector<LayerReads>& layers, double k);

}  // namespace kvplace::generate
