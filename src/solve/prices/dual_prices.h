/// Multipliers of an instance: what the search for a bound finds and a certificate states in whole numbers.
#pragma once

#include <cstddef>
#include <vector>

#include "solve/prices/price_forms.h"

namespace kvplace {

/// Steps k = t * layers + l, and the groups of steps over which time is taken.
struct PriceGroups {
  explicit PriceGroups(const Instance& instance)
      : layers(instance.layers()),
        num_steps(std::size_t{instance.steps()} * instance.layers()),
        steps_per_group(instance.options().barrier == Barrier::kToken ? instance.layers() : 1) {}

  [[nodiscard]] std::size_t num_groups() const { return num_steps / steps_per_group; }
  [[nodiscard]] std::size_t group_of(std::size_t k) const { return k / steps_per_group; }

  std::size_t layers;
  std::size_t num_steps;
  std::size_t steps_per_group;
};

/// Times are in seconds, prices of capacity in seconds per byte of one request.
struct DualPrices {
  std::vector<double> mixture;  ///< [group * forms + form]: shares of the forms, summing to at most 1 in each group
  std::vector<double> rows;     ///< [num_steps]: near capacity just after each step
  double start = 0;             ///< near capacity at the start, if the start is free
};

}  // namespace kvplace
