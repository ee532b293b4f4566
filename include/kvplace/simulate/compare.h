/// The league table: several policies on one instance, beside what is possible.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvplace/base/manifest.h"
#include "kvplace/simulate/replay.h"
#include "kvplace/solve/bound.h"

namespace kvplace {

struct Bounds {
  Seconds perfect_split;  ///< no schedule of the mode is faster
  Seconds all_near;       ///< everything near: a machine with enough near memory
};

struct Comparison {
  Manifest manifest;
  Bounds bounds;
  std::optional<ProvenBound> proven;  ///< if it was asked for
  std::vector<ReplayResult> results;  ///< in the order asked for, less those that an interrupt kept from running
  bool complete = true;               ///< false: interrupted, see ReplayResult::steps and ::complete

  /// All placements take the same time within 1 %: where the KV lies does not matter here.
  [[nodiscard]] bool placement_does_not_matter() const;
  /// Moreover they are within 1 % of the perfect split: nothing could be faster.
  [[nodiscard]] bool nothing_to_gain() const;
};

/// One pass over the trace for all policies and bounds (plus the passes of search policies, and one from the end for
/// oracles).
[[nodiscard]] Result<Comparison> compare(const TraceReader& trace, const Instance& instance,
                                         std::span<const PolicySpec> policies, const RunContext& context);

/// The manifest of a result made from `trace`.
[[nodiscard]] Manifest make_manifest(const TraceReader& trace);

/// The policies shown when none is named: those that are by_default, but for those found by search or planned, which
/// need passes of their own, and those that require rankings.
[[nodiscard]] std::vector<PolicySpec> default_policies(const Instance& instance);

/// The policies that users name. "all" stands for every policy but those found by search or planned that runs on such
/// a trace and start; no text at all for default_policies().
[[nodiscard]] Result<std::vector<PolicySpec>> named_policies(std::span<const std::string> texts, const TraceMeta& meta,
                                                             const Instance& instance);

}  // namespace kvplace
