/// Raises the bound of given prices by subgradient ascent on the whole Lagrangian dual. Windows leave out what
/// promotions cost near memory, and price no row but their own; the ascent prices all of both (docs/bound.md,
/// "Entries").
///
/// The subgradient is what the cheapest paths load less what is paid for (block_paths.h). Each price has a step of its
/// own, scaled by the root mean square of its slopes, as in Adam (Kingma and Ba, ICLR 2015); steps shrink as they do in
/// subgradient methods with a given number of evaluations (Polyak, *Introduction to Optimization*, 1987).
#pragma once

#include <cstdint>
#include <functional>

#include "kvplace/base/progress.h"
#include "solve/gaps/gap_classes.h"
#include "solve/gaps/gap_dual.h"
#include "solve/prices/quantize.h"
#include "solve/search/block_paths.h"

namespace kvplace {

/// So many evaluations are worth their time for a trace of so many reads; 0: none are.
[[nodiscard]] std::uint64_t worthwhile_ascents(std::uint64_t reads);

struct Ascended {
  ShareTable table;
  double value_s = 0;             ///< what the search takes them to prove
  std::uint64_t evaluations = 0;  ///< made
};

/// Prices that prove more than the certificate's, or those. O(reads + steps log steps) time per evaluation. Ends early
/// if `stop` says so, or if a part of the evaluations proves hardly more. The result does not depend on the number of
/// threads. REQUIRES: what BlockPaths requires; the certificate is of this instance.
[[nodiscard]] Ascended ascend(const Instance& instance, const GapClasses& classes, const GapDual& dual,
                              BlockPaths& paths, const Certificate& start, std::uint64_t evaluations,
                              const std::function<bool()>& stop, Progress* progress);

}  // namespace kvplace
