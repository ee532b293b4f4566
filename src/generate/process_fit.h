/// From the reads of a layer to the model of its process: how often members left and blocks came in, by class and age.
#pragma once

#include <vector>

#include "generate/layer_reads.h"
#include "generate/process_model.h"

namespace kvplace::generate {

/// Events and the chances there were for them, by [class * kNumAges + age class].
struct Tally {
  std::vector<double> could_leave;
  std::vector<double> left;
  std::vector<double> could_enter;
  std::vector<double> entered;
  std::vector<double> cold_could_enter;  ///< by age class of the trace
  std::vector<double> cold_entered;
  std::vector<float> changed;  ///< by step, from step 1: share of the reads that were not read in the step before
  double reads = 0;
};

/// Sinks and window: the first and the newest blocks that are read in nearly every step.
[[nodiscard]] PinnedParts find_pinned_parts(const LayerReads& reads);

/// What classes a fitted model has.
[[nodiscard]] Classes frequency_classes();

[[nodiscard]] Tally tally(const LayerReads& reads, const PinnedParts& pinned, const Classes& classes);

/// The model that makes such a tally likely. What layers have in common is left to the caller, who sees all of them.
[[nodiscard]] ProcessModel fit_process(const LayerReads& reads);

/// A tilt for the next round from that of the last one, in which an LRU list missed `made_lru` of the reads instead of
/// `lru`, both by capacity.
[[nodiscard]] double tilt_for_lru(double tilt, double reads, const std::vector<double>& lru,
                                  const std::vector<double>& made_lru);

/// Moves weights and overlap so that what the model made (`made`) comes nearer to `wanted`, of which the blocks that
/// come in at age a are multiplied by a^-tilt: positive makes old blocks rarer, and so the misses of large LRU lists.
void adjust(ProcessModel& model, const Tally& wanted, const Tally& made, double tilt);

}  // namespace kvplace::generate
