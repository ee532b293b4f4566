/// Which gaps are not held: a choice of least cost, from flows (docs/bound.md, "Schedules").
///
/// But for where near and far costs add up rather than hide each other, the choice is a flow over boundaries. A long
/// trace is cut into pieces in time, solved from the last to the first; what being near at a cut is worth comes from
/// the prices behind it.
#pragma once

#include <functional>
#include <optional>

#include "kvplace/base/run_context.h"
#include "solve/flow/step_costs.h"
#include "solve/gaps/gap_list.h"

namespace kvplace {

struct FlowOptions {
  std::size_t gaps_per_piece = 20'000;  ///< classes; more take longer than in proportion
  double ahead = 0.5;                   ///< of a piece's length: how far it looks beyond what it decides
};

/// True if flows model the instance, and pieces of its gaps are long enough in time to tell what a place is worth.
[[nodiscard]] bool flow_fits(const Instance& instance, const std::vector<GapClass>& gaps);

/// `gaps`: in the order of list_gaps(); `capacity`: blocks. None if `stop`, asked between pieces, says so.
[[nodiscard]] std::optional<std::vector<Arrival>> flow_arrivals(const std::vector<GapClass>& gaps,
                                                                const StepCosts& costs, std::int64_t capacity,
                                                                bool free_start, const FlowOptions& options,
                                                                const std::function<bool()>& stop, Progress* progress);

}  // namespace kvplace
