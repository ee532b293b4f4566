/// The league table: several policies on one instance, beside what is possible.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kvplace/base/manifest.h"
#include "kvplace/simulate/replay.h"
#include "kvplace/solve/bound.h"

namespace kvplace {

/// Times that differ by no more than this share count as the same.
inline constexpr double kSameTime = 0.01;

struct Bounds {
  Seconds perfect_split;  ///< no schedule of the mode is faster
  Seconds all_near;       ///< everything near: a machine with enough near memory
};

struct Comparison {
  Manifest manifest;
  Bounds bounds;
  /// Time of the policy `static`, which moves nothing, asked for or not; with a free start, of start recent. None after
  /// an interrupt.
  std::optional<Seconds> static_time;
  Claim covers = Claim::kStep;            ///< the claim that covers the policies, see covering_claim()
  std::optional<ProvenBound> proven;      ///< if it was asked for, of the claim `step`
  std::optional<ProvenBound> proven_any;  ///< beside it, of the claim `any`
  std::vector<ReplayResult> results;      ///< in the order asked for, less those that an interrupt kept from running
  bool complete = true;                   ///< false: interrupted, see ReplayResult::steps and ::complete
  Status outputs;                         ///< why the schedule could not be written, as on a full disk; the rest stands

  /// The proven bound that covers the policies; null without one.
  [[nodiscard]] const ProvenBound* covering() const;
  /// That bound, or the perfect split without one.
  [[nodiscard]] Seconds lower_bound() const;
  /// Times of the fastest and the slowest of the results that are placements; ideals are none. None without any.
  [[nodiscard]] std::optional<std::pair<Seconds, Seconds>> placements() const;
  /// Whether it matters where the KV lies. False: the slowest placement known, `static` among them, is within 1 % of
  /// the lower bound. True: two placements known differ by more than 1 %. None: neither is known.
  [[nodiscard]] std::optional<bool> placement_matters() const;
};

/// One pass over the trace for all policies and bounds (plus the passes of search policies, and one from the end for
/// oracles).
[[nodiscard]] Result<Comparison> compare(const TraceReader& trace, const Instance& instance,
                                         std::span<const PolicySpec> policies, const RunContext& context);

struct CompareOptions {
  std::vector<PolicySpec> policies;
  bool bound = false;         ///< also prove a bound (not after an interrupt)
  std::string schedule_path;  ///< where the decisions of the one policy go; empty: nowhere
};

/// The same, with what may be wanted beside it. What can be wrong is told before the first pass: bad input for policies
/// that cannot run here, an instance without a bound, a schedule of several policies or that cannot be made there.
[[nodiscard]] Result<Comparison> make_comparison(const TraceReader& trace, const Instance& instance,
                                                 const CompareOptions& options, const RunContext& context);

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
