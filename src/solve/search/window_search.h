/// Finds the best prices of a special kind, which are optimal but for the cost of promotions (docs/bound.md,
/// "Windows").
///
/// Take disjoint windows of time. Outside them a step is priced by a form in which a miss costs nothing beside a near
/// read (the perfect split); inside by one in which it does (the link). One row just before each window has the price
/// of a miss. What a window adds to the bound is then
///     miss price * (bytes of distinct blocks read in it that are older than it - capacity) - sum of its steps'
///     allowances,
/// the allowance of a step being the time by which its near side is slower than its far side: what cannot be near at
/// the window's start, and does not fit beside the near side's work, takes time. A longest path over time finds the
/// best windows.
///
/// Since blocks are whole, a step's allowance is a lesser whole number of blocks while misses have less than a certain
/// share of their price, its *scale*, and a greater one from there on (docs/bound.md, "Whole blocks"). So windows are
/// found for each share by itself, and their prices added up.
#pragma once

#include <cstdint>
#include <memory>

#include "solve/gaps/gap_dual.h"

namespace kvplace {

/// What windows are priced with.
struct WindowKind {
  std::size_t form = 0;  ///< of the steps inside
  double row_price = 0;  ///< of being near at the window's start; the form's miss, where leaving near is free
  /// Shares of the price, ascending, in (0, 1): below each, between them and from the last to 1 windows are found anew.
  std::vector<double> scales{};
};

struct WindowPrices {
  DualPrices prices;
  std::uint64_t windows = 0;
  double gain_bytes = 0;  ///< what they add to the bound, in row prices of a byte
};

class BytesByAge;

/// What the search looks up of classes: up to 256 MiB, the same for all kinds and prices.
struct WindowTables {
  std::shared_ptr<const BytesByAge> fine;
  std::shared_ptr<const BytesByAge> coarse;
};
[[nodiscard]] WindowTables make_window_tables(const GapClasses& classes, const StepGroups& groups);

/// The best windows of a kind. Where misses are not free in any form, the kind's is outside as well.
/// O(steps * layers * window length) time for each scale and one more, bounded by limits on the length; memory
/// O(steps * layers).
[[nodiscard]] WindowPrices best_windows(const GapDual& dual, const GapClasses& classes, bool free_start,
                                        const WindowKind& kind, const WindowTables& tables);
/// With tables that are made for it.
[[nodiscard]] WindowPrices best_windows(const GapDual& dual, const GapClasses& classes, bool free_start,
                                        const WindowKind& kind);

/// Forms worth trying inside windows: those in which a miss costs most.
[[nodiscard]] std::vector<std::size_t> window_forms(const GapDual& dual);

/// Scales worth trying with a form: none; the median of the steps'; some that stand for all of them.
[[nodiscard]] std::vector<std::vector<double>> window_scales(const GapDual& dual, std::size_t form);

}  // namespace kvplace
