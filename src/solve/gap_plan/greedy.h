/// Which gaps are not held: a first choice, made from the trace's end.
///
/// Seen backward in time a read puts a block near, where it stays until its previous read finds it there or it leaves,
/// which takes a promotion, or its being missed, between the two. So what leaves can leave early at no cost but that of
/// the step it leaves in, and which leaves is a matter of Belady's rule turned round: the one whose gap began first.
#pragma once

#include <functional>
#include <optional>

#include "solve/gap_plan/cost.h"
#include "solve/gaps/gap_list.h"

namespace kvplace {

/// `gaps`: in the order of list_gaps(); `capacity`: blocks. O(log) per gap that is not held. None if stopped.
[[nodiscard]] std::optional<std::vector<Arrival>> greedy_arrivals(const std::vector<GapClass>& gaps,
                                                                  const PlanCost& cost, std::int64_t capacity,
                                                                  bool free_start, const std::function<bool()>& stop);

}  // namespace kvplace
