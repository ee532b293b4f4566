/// The dual of the inclusive mode: prices of channels and of near capacity, and the bound they give (docs/bound.md).
#pragma once

#include <vector>

#include "solve/dual_prices.h"
#include "solve/gap_value.h"

namespace kvplace {

class GapDual {
 public:
  GapDual(const Instance& instance, const GapClasses& classes, const GapKernel& kernel, unsigned threads);

  /// The bound in seconds, less at most what passive promotions cost near memory, which gap classes leave out.
  [[nodiscard]] double operator()(const DualPrices& prices);

  [[nodiscard]] const std::vector<PriceForm>& forms() const { return forms_; }
  [[nodiscard]] const PriceGroups& groups() const { return groups_; }
  [[nodiscard]] double capacity_bytes() const { return capacity_; }
  /// Time of a form in a group when all that either side may serve is read from near and nothing moves, in seconds.
  [[nodiscard]] double fixed_time(std::size_t group, std::size_t form) const {
    return fixed_times_[group * forms_.size() + form];
  }

 private:
  std::vector<PriceForm> forms_;
  PriceGroups groups_;
  double capacity_;
  double overhead_;
  std::vector<double> fixed_times_;  // [group * forms + form]
  GapValue gaps_;
  GapPrices gap_prices_;
};

}  // namespace kvplace
