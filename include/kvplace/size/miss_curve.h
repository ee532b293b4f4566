/// How many reads each layer has to take from far, as a function of its near capacity.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvplace/base/run_context.h"
#include "kvplace/instance/instance.h"
#include "kvplace/policy/registry.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

struct CurvePoint {
  std::uint32_t blocks = 0;  ///< near capacity of the layer
  double misses = 0;         ///< far reads
  bool operator==(const CurvePoint&) const = default;
};

/// Points in ascending order of blocks, the first at 0; between them the curve is straight, behind the last it is flat.
using LayerMissCurve = std::vector<CurvePoint>;

/// REQUIRES: the curve has a point.
[[nodiscard]] double misses_at(const LayerMissCurve& curve, std::uint32_t blocks);

/// Point by point over the capacities of all of them. REQUIRES: at least one curve.
[[nodiscard]] LayerMissCurve sum_of(std::span<const LayerMissCurve* const> curves);

/// Bad input for a policy without a buffer per layer, and for traces with pages and experts: they have no such curves.
[[nodiscard]] Status check_miss_curves(const TraceReader& trace, const PolicySpec& policy);

/// One curve per layer, for a policy with a buffer per layer, from the instance's start; its capacity does not matter.
///
/// `lru`: every capacity, from stack distances in one pass over the trace. The policy refreshes hits before misses
/// enter, so that what is a hit decides the order of a step's blocks, and one list can be the policy's for one capacity
/// only: a layer's curve is exact at its `reference_blocks`, and up to the order of blocks within a step elsewhere.
///
/// Other policies: replays in one common pass, four capacities per doubling; exact at these points, and straight
/// between them. The reference does not matter.
///
/// REQUIRES: a reference for each layer. Errors: those of check_miss_curves; interrupted. Memory: O(blocks) for `lru`,
/// O(blocks) per capacity else.
[[nodiscard]] Result<std::vector<LayerMissCurve>> measure_miss_curves(const TraceReader& trace,
                                                                      const Instance& instance,
                                                                      const PolicySpec& policy,
                                                                      std::span<const std::uint32_t> reference_blocks,
                                                                      const RunContext& context);

}  // namespace kvplace
