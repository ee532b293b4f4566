/// What misses and promotions cost each step, in small whole numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "solve/gap_plan/cost.h"

namespace kvplace {

/// A miss where far reads bind costs so much.
inline constexpr std::int64_t kMissCost = 1000;

inline constexpr std::int64_t kWithoutEnd = std::int64_t{1} << 40;

/// A step's next `misses` cost `each` apiece.
struct MissSlope {
  std::int64_t misses = 0;
  std::int64_t each = 0;
  auto operator<=>(const MissSlope&) const = default;
};

class StepCosts {
 public:
  /// Near a plan that does `around`, by step: what its promotions leave of the near side's time is what misses hide
  /// behind, and beside its far reads some promotions are free.
  /// REQUIRES: a barrier per layer, so that groups are steps.
  StepCosts(const PlanCost& cost, const std::vector<GroupCounts>& around);

  [[nodiscard]] std::uint32_t num_steps() const { return static_cast<std::uint32_t>(kind_.size()); }
  /// By what misses and promotions cost together; the last slope is without end.
  [[nodiscard]] const std::vector<MissSlope>& misses(std::uint32_t step) const { return kinds_[kind_[step]].misses; }
  /// What a promotion costs more than a miss, where both hide; nothing if it is one of free_promotions().
  [[nodiscard]] std::int64_t promotion(std::uint32_t step) const { return kinds_[kind_[step]].promotion; }
  [[nodiscard]] std::int64_t free_promotions(std::uint32_t step) const { return kinds_[kind_[step]].free_promotions; }
  /// What a miss whose block stays near costs more than one whose block does not; nothing if one of free_stays().
  [[nodiscard]] std::int64_t stay(std::uint32_t step) const { return kinds_[kind_[step]].stay; }
  [[nodiscard]] std::int64_t free_stays(std::uint32_t step) const { return kinds_[kind_[step]].free_stays; }

 private:
  struct Kind {
    std::vector<MissSlope> misses;
    std::int64_t promotion = 0;
    std::int64_t stay = 0;
    std::int64_t free_promotions = 0;
    std::int64_t free_stays = 0;
    auto operator<=>(const Kind&) const = default;
  };
  static Kind kind_of(const PlanCost& cost, std::uint32_t step, const GroupCounts& around);
  static void find_free(const PlanCost& cost, std::uint32_t step, const GroupCounts& around, Kind& kind);

  std::vector<Kind> kinds_;  // fewer than steps: many are alike
  std::vector<std::uint32_t> kind_;
};

}  // namespace kvplace
