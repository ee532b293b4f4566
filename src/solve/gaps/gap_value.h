/// The part of the Lagrangian dual that depends on the gaps: the cost of each gap's cheapest way, at given prices.
///
/// Gaps do not touch each other once room has a price, so each takes the least of three: held, fetched in between, or
/// missed. Prefix sums of the prices make each a difference of two numbers. Caching as a choice per interval between
/// reads is that of Berger et al., *Practical bounds on optimal caching with variable object sizes*, 2018.
#pragma once

#include <cstdint>
#include <vector>

#include "solve/gaps/gap_classes.h"

namespace kvplace {

/// What a byte costs, by step tau = (t, l), k = t * layers + l. All in one unit of time.
struct GapPrices {
  std::vector<double>
      occupied;              ///< M, [steps * layers + 2]: M[k + 1] is the price of being near from the start to step k
  std::vector<double> miss;  ///< [steps * layers]
  std::vector<double> active;  ///< [steps * layers]: a promotion in the step
};

/// Sum over gaps of bytes * min(hold, fetch somewhere in the gap, miss). Holding from k1 to k2 costs M[k2 + 1] - M[k1 +
/// 1], fetching in step k between them active[k] + M[k2 + 1] - M[k + 1]. Does not depend on the number of threads.
class GapValue {
 public:
  GapValue(const GapClasses& classes, unsigned threads);

  [[nodiscard]] double operator()(const GapPrices& prices);

 private:
  struct Scratch;

  void find_windows(const GapPrices& prices);
  double of_layer(std::uint32_t layer, const GapPrices& prices, Scratch& scratch) const;
  double of_sparse(const LayerGaps& gaps, const Scratch& scratch) const;
  double of_start(const LayerGaps& gaps, const GapPrices& prices, const Scratch& scratch) const;

  const GapClasses& classes_;
  unsigned threads_;
  // Cheapest fetch, active[k] - M[k + 1], in the `layers` steps from each on, and in the steps before each layer's
  // first.
  std::vector<double> window_;
  std::vector<double> before_first_;
};

}  // namespace kvplace
