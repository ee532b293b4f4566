#include "solve/step_costs.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace kvplace {

StepCosts::StepCosts(const PlanCost& cost) {
  std::map<Kind, std::uint32_t> known;
  for (std::uint32_t step = 0; step < cost.num_steps(); ++step) {
    const auto [place, fresh] = known.try_emplace(kind_of(cost, step), static_cast<std::uint32_t>(kinds_.size()));
    if (fresh) {
      kinds_.push_back(place->first);
    }
    kind_.push_back(place->second);
  }
}

StepCosts::Kind StepCosts::kind_of(const PlanCost& cost, std::uint32_t step) {
  const auto in_misses = [&](const CellCounts& more, const CellCounts& less) {
    return std::llround((cost.time(step, more) - cost.time(step, less)) / cost.far_read_time() * kMissCost);
  };
  const auto next = [&](std::int32_t misses) { return in_misses({misses + 1, 0, 0}, {misses, 0, 0}); };
  Kind kind;
  const auto reads = static_cast<std::int32_t>(cost.movable_reads(step));
  for (std::int32_t misses = 0; misses < reads;) {
    // The time is convex: those that cost the same are found by doubling and halving.
    const std::int64_t each = next(misses);
    std::int32_t length = 1;
    while (misses + 2 * length <= reads && next(misses + 2 * length - 1) == each) {
      length *= 2;
    }
    for (std::int32_t more = length; more > 0; more /= 2) {
      length += misses + length + more <= reads && next(misses + length + more - 1) == each ? more : 0;
    }
    kind.misses.push_back({length, each});
    misses += length;
  }
  if (kind.misses.empty()) {
    kind.misses.push_back({0, kMissCost});
  }
  kind.misses.back().misses = kWithoutEnd;
  kind.promotion = std::max(std::int64_t{0}, std::int64_t{in_misses({0, 1, 0}, {1, 0, 0})});
  kind.stay = std::max(std::int64_t{0}, std::int64_t{in_misses({1, 0, 1}, {1, 0, 0})});
  return kind;
}

}  // namespace kvplace
