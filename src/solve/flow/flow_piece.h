/// One piece of a trace as a flow of least cost.
#pragma once

#include <span>

#include "solve/flow/step_costs.h"
#include "solve/gaps/gap_list.h"

namespace kvplace {

/// Blocks of a gap that goes on behind a piece's end.
struct CrossingGap {
  GapClass gap;
  std::int64_t value = 0;  ///< what it costs later if they are not near at the end, in the costs of StepCosts; >= 0
};

/// The steps first ... end - 1, of which those from `keep` on are decided.
struct PieceRange {
  std::uint32_t first = 0;
  std::uint32_t keep = 0;
  std::uint32_t end = 0;
};

struct PieceResult {
  bool optimal = false;
  std::vector<Arrival> arrivals;      ///< decided, of gaps that are not held
  std::vector<CrossingGap> crossing;  ///< to be near at `keep`
};

/// `inside`: gaps that end in the steps first ... end - 1, in order of their ends, then of their beginnings.
/// `crossing`: those that begin last come first.
[[nodiscard]] PieceResult solve_piece(const PieceRange& range, std::span<const GapClass> inside,
                                      std::span<const CrossingGap> crossing, const StepCosts& costs,
                                      std::int64_t capacity, bool free_start);

}  // namespace kvplace
