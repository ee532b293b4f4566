/// From prices in floating point to the whole numbers of a certificate.
#pragma once

#include <array>
#include <vector>

#include "kvplace/bound/certificate.h"
#include "solve/prices/dual_prices.h"

namespace kvplace {

/// Channel shares by group, and capacity prices: what a certificate is made from.
struct ShareTable {
  std::vector<std::array<double, kNumChannels>> shares;  ///< by group
  std::vector<double> rows;                              ///< by step, seconds per byte of one request
  double start = 0;
};

[[nodiscard]] ShareTable shares_of(const DualPrices& prices, const std::vector<PriceForm>& forms);

/// Rounds all prices down, in the finest ticks whose sums fit 62 bits: what the certificate proves is less than the
/// prices' worth by about 2^-40 of it.
[[nodiscard]] Certificate quantize(Claim claim, const BoundNumbers& numbers, bool has_read_bytes,
                                   const ShareTable& table);

}  // namespace kvplace
