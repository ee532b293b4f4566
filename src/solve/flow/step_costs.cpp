#include "solve/flow/step_costs.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

namespace kvplace {

namespace {

/// What near memory moves beside what misses leave it, in blocks: a prefetched block is written and read, one that
/// stays is written.
std::int32_t surplus(const GroupCounts& counts) { return 2 * counts.prefetches + counts.promotions; }

}  // namespace

StepCosts::StepCosts(const PlanCost& cost, const std::vector<GroupCounts>& around) {
  std::map<Kind, std::uint32_t> known;
  for (std::uint32_t step = 0; step < cost.num_steps(); ++step) {
    const auto [place, fresh] =
        known.try_emplace(kind_of(cost, step, around[step]), static_cast<std::uint32_t>(kinds_.size()));
    if (fresh) {
      kinds_.push_back(place->first);
    }
    kind_.push_back(place->second);
  }
}

StepCosts::Kind StepCosts::kind_of(const PlanCost& cost, std::uint32_t step, const GroupCounts& around) {
  const auto in_misses = [&](const GroupCounts& more, const GroupCounts& less) {
    return std::llround((cost.time(step, more) - cost.time(step, less)) / cost.far_read_time() * kMissCost);
  };
  const std::int32_t written = surplus(around);
  const auto next = [&](std::int32_t misses) { return in_misses({misses + 1, 0, written}, {misses, 0, written}); };
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
  find_free(cost, step, around, kind);
  return kind;
}

void StepCosts::find_free(const PlanCost& cost, std::uint32_t step, const GroupCounts& around, Kind& kind) {
  // With its misses and prefetches, and so many blocks of near work beside what misses leave.
  const auto time_with = [&](std::uint32_t blocks) {
    const std::int32_t stays = static_cast<std::int32_t>(blocks) - 2 * around.prefetches;
    return cost.time(step, {around.misses, around.prefetches, stays});
  };
  const double enough = time_with(0) + 1e-6 * cost.far_read_time();
  std::uint32_t room = 0;  // what hides behind them; more than a few times the reads is of no use
  for (std::uint32_t more = std::bit_floor(4 * cost.movable_reads(step) + 1); more > 0; more /= 2) {
    room += time_with(room + more) <= enough ? more : 0;
  }
  // What the plan uses and a share of the rest; if it uses more than there is, in the same proportion.
  const std::int64_t used = surplus(around);
  kind.free_promotions =
      used <= room ? around.prefetches + (room - used) / 3 : std::int64_t{room} * around.prefetches / used;
  kind.free_stays = room - 2 * kind.free_promotions;
}

}  // namespace kvplace
