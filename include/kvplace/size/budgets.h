/// The best fixed near capacity of each layer for a policy with a buffer per layer: `kvplace budgets`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvplace/base/manifest.h"
#include "kvplace/base/run_context.h"
#include "kvplace/instance/instance.h"
#include "kvplace/policy/registry.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// A trace with its instance; the near capacity of the instance is what is divided. Not owned.
struct BudgetTrace {
  const TraceReader* trace = nullptr;
  const Instance* instance = nullptr;
};

struct BudgetOptions {
  PolicySpec policy;
  std::uint32_t least_blocks = 0;  ///< no layer gets less
};

/// What a replay says about some budgets.
struct BudgetOutcome {
  std::uint64_t far_reads = 0;
  Seconds total;
};

/// Replays of one trace with several budgets.
struct BudgetCheck {
  std::string file;
  bool held_out = false;  ///< the budgets were not made from it
  std::uint64_t reads = 0;
  BudgetOutcome equal;                   ///< the same in each layer
  BudgetOutcome found;                   ///< the budgets that are the result
  std::optional<BudgetOutcome> own;      ///< made from this trace alone; none if it is held out
  std::optional<BudgetOutcome> others;   ///< made from all traces but this; none if it is held out, or the only one
  std::vector<BudgetOutcome> from_each;  ///< made from each trace alone, in the order given
};

struct LayerBudgets {
  Manifest manifest;
  PolicySpec policy;
  std::vector<std::uint32_t> blocks;  ///< of one request, by layer
  /// Replayed on the traces they were made from, the budgets found were worse than equal ones, in far reads or in time:
  /// `blocks` are equal ones.
  bool equal_are_better = false;
  std::uint64_t total_blocks = 0;  ///< that may be divided, of one request
  Bytes block_bytes;
  /// By layer, over the budgets made from each trace alone: mean and standard deviation [blocks].
  std::vector<double> mean_blocks;
  std::vector<double> deviation_blocks;
  std::vector<std::vector<std::uint32_t>> from_each;  ///< [trace][layer]
  std::vector<BudgetCheck> checks;                    ///< of the traces given, then of those held out
};

/// Measures the miss curves of each trace, sums them up, divides the capacity exactly on their lower convex envelopes
/// (allocate.h) and replays the result. Never worse than equal budgets on the traces given, over all of them together.
/// Traces without `held_out` are checked by leaving one out.
///
/// Errors: bad input if there is no trace, if traces differ in layers, block size or capacity in blocks, or have pages
/// and experts, if the capacity holds no block, or if the policy has no buffer per layer; interrupted.
[[nodiscard]] Result<LayerBudgets> find_budgets(std::span<const BudgetTrace> traces,
                                                std::span<const BudgetTrace> held_out, const BudgetOptions& options,
                                                const RunContext& context);

}  // namespace kvplace
