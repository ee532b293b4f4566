/// The linear forms whose largest is a step's time, and what they price (docs/bound.md, "Forms").
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "kvplace/instance/instance.h"

namespace kvplace {

/// T >= sum_c share[c] * load_c / B_c + floor. Any mixture of forms is such a bound as well, so a step's channel prices
/// are the mixture's shares. Costs are seconds per byte of one request's KV, for the whole batch.
struct PriceForm {
  std::array<double, kNumChannels> share{};
  double floor = 0;      ///< seconds per layer
  double near_read = 0;  ///< a read of a block that is near, by the side that is cheaper if both may serve it
  double miss = 0;       ///< a far read instead of that; may be negative
  double active = 0;     ///< a promotion of bytes that are not read in the step
  double passive = 0;    ///< a promotion of bytes that are
  double far_write = 0;  ///< new KV of a far block (exclusive mode)
  double demote = 0;     ///< leaving near (exclusive mode)
};

/// Near, far-read and far-write prices follow from the shares: fills in all costs of `form`.
[[nodiscard]] PriceForm priced(const Instance& instance, const std::array<double, kNumChannels>& share, double floor);

/// The pieces of the instance's step time, and the mixtures of two at which a read costs the same on both sides.
/// Overhead is not in them.
[[nodiscard]] std::vector<PriceForm> price_forms(const Instance& instance);

}  // namespace kvplace
