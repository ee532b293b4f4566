/// From the reads of a layer to the model of its process: how often members left and blocks came in, by class and age.
#pragma once

#include <vector>

#include "generate/layer_reads.h"
#include "generate/process_model.h"

namespace kvplace::generate {

/// Events and the chances there were for them, by [class * kNumAges + age class]; of entering, [class * kNumDepths +
/// class of depth].
struct Tally {
  std::vector<double> could_leave;
  std::vector<double> left;
  std::vector<double> could_enter;
  std::vector<double> entered;
  std::vector<double> entered_by_age;    ///< by age class, those not cold
  std::vector<double> cold_could_enter;  ///< by age class of the trace
  std::vector<double> cold_entered;
  std::vector<float> changed;  ///< by step, from step 1: share of the reads that were not read in the step before
  double reads = 0;
};

using LruCurve = std::vector<double>;  ///< miss ratios by capacity

/// Sinks and window: the first and the newest blocks that are read in nearly every step.
[[nodiscard]] PinnedParts find_pinned_parts(const LayerReads& reads);

/// What classes a fitted model has.
[[nodiscard]] Classes frequency_classes();

[[nodiscard]] Tally tally(const LayerReads& reads, const PinnedParts& pinned, const Classes& classes);

/// The model that makes such a tally likely. What layers have in common is left to the caller, who sees all of them.
[[nodiscard]] ProcessModel fit_process(const LayerReads& reads);

/// How far what a model made is off, in units of the tolerance: above all no LRU miss ratio should be beyond it.
[[nodiscard]] double misfit(const Tally& wanted, const Tally& made, const LruCurve& lru, const LruCurve& made_lru);

/// Moves weights and overlap so that what the model made (`made`) comes nearer to `wanted`.
/// `lru` and `made_lru` are the curves of both (locality.h).
void adjust(ProcessModel& model, const Tally& wanted, const Tally& made, const LruCurve& lru, const LruCurve& made_lru);

}  // namespace kvplace::generate
