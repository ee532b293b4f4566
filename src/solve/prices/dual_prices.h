/// Multipliers of an instance: what the search for a bound finds and a certificate states in whole numbers.
#pragma once

#include <cstddef>
#include <vector>

#include "solve/prices/price_forms.h"

namespace kvplace {

/// Times are in seconds, prices of capacity in seconds per byte of one request.
struct DualPrices {
  std::vector<double>
      mixture;  ///< [group of steps * forms + form]: shares of the forms, summing to at most 1 in each group
  std::vector<double> rows;  ///< by step k = t * layers + l: near capacity just after each step
  double start = 0;          ///< near capacity at the start, if the start is free
};

}  // namespace kvplace
