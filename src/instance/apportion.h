/// Whole things divided in proportion to shares.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace kvplace {

/// `total` divided by largest remainders: each gets its quota rounded down; what is left goes, one each, to the largest
/// remainders, of equal ones to the lower index. The parts add up to `total`. REQUIRES: shares finite, none negative,
/// not all 0.
[[nodiscard]] inline std::vector<std::int64_t> apportion(std::span<const double> shares, std::int64_t total) {
  const double largest = *std::max_element(shares.begin(), shares.end());
  double sum = 0;  // relative to the largest, so that it stays finite
  for (const double share : shares) {
    sum += share / largest;
  }
  // Whole shares that add up to the total come back as they are.
  const double whole_sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  const bool exact = whole_sum == static_cast<double>(total);
  std::vector<std::int64_t> parts;
  std::vector<double> remainders;
  std::int64_t left = total;
  for (const double share : shares) {
    const double quota = exact ? share : static_cast<double>(total) * (share / largest / sum);
    const auto part = std::min(left, static_cast<std::int64_t>(std::floor(quota)));
    parts.push_back(part);
    remainders.push_back(quota - std::floor(quota));
    left -= part;
  }
  std::vector<std::size_t> order(shares.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  for (std::size_t i = 0; left > 0; i = (i + 1) % order.size()) {
    if (shares[order[i]] > 0) {
      ++parts[order[i]];
      --left;
    }
  }
  return parts;
}

}  // namespace kvplace
