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

/// The model that makes such a tally likely. The spread of churn is left to the caller, who sees all layers.
[[nodiscard]] ProcessModel fit_process(const LayerReads& reads);

/// Moves the weights and the overlap so that what the model made (`made`) comes nearer to `wanted`.
void adjust(ProcessModel& model, const Tally& wanted, const Tally& made);

}  // namespace kvplace::generate
