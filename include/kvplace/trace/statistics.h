/// What is in a trace, and its locality: `kvplace info`.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// Miss ratio of an LRU list that is empty at the start (misses / reads). All reads of a step are classified against
/// the order before it: a read misses if as many blocks as there are places were touched (read or appended) more
/// recently than it, or if the block was never touched. Reads of blocks appended in that very step hit.
///
/// Then the blocks of the step move to the front in ascending id, whether they hit or missed, so that one list serves
/// every capacity. The `lru` policy refreshes the hits before the misses enter, which differs in the order of blocks of
/// one step only: the curve may differ from the policy by ties inside a step.
struct MissCurve {
  std::vector<std::uint64_t> capacity_blocks;  ///< per layer for a layer's curve; over all layers for the pooled one
  std::vector<double> miss_ratio;              ///< parallel; 0 if nothing is read
};

/// Means are over what exists: 0 where there is nothing to average.
struct TraceStatistics {
  double reads_per_step = 0;             ///< mean number of blocks read per (decode step, layer)
  double overlap = 0;                    ///< mean over layers of overlap_by_layer
  std::vector<double> overlap_by_layer;  ///< mean of |S_t and S_{t-1}| / |S_t| over t >= 1 with a read
  /// One list per layer, capacity per layer, misses pooled over layers. Capacities are 0.5, 1, 1.5, 2, 3, 4, 6 and 8
  /// times k, which is reads_per_step rounded, at least 1; none above the number of blocks.
  MissCurve lru;
  std::vector<MissCurve> lru_by_layer;  ///< the same capacities, by layer
  MissCurve lru_pooled;                 ///< one list over all layers, capacity over all layers: multiples of k * layers
  /// [i]: reads whose previous read in their layer was 2^i to 2^(i+1)-1 decode steps ago; up to the last that is not 0.
  std::vector<std::uint64_t> reuse_distance_steps;
  std::uint64_t first_reads = 0;  ///< reads of blocks not read before
  /// Window of w decode steps -> distinct blocks read in it per layer, the mean over all windows that lie within the
  /// trace and over layers. w = 1, 10, 50, 100, 1000, as far as the trace has so many decode steps.
  std::map<std::uint32_t, double> working_set;
  double density = 0;  ///< mean over (decode step, layer) of reads / blocks that exist (prompt and appended so far)
  /// KV reads of pages that hold one of their request's newest 64 tokens, that of the step included, as a share of KV
  /// reads. Every appended record counts as one token.
  double recent_share = 0;
  double first_share = 0;  ///< KV reads of pages that hold tokens 0 to 3 of their request, as a share of KV reads
};

/// One streaming pass; memory O(blocks + a chunk), time O(reads * log blocks), shared by the layers' threads.
/// The result does not depend on the number of threads.
[[nodiscard]] Result<TraceStatistics> compute_statistics(const TraceReader& trace, const RunContext& context);

}  // namespace kvplace
