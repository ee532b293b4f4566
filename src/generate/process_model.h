/// What drives the reads of one layer. Presets and fits both end here; the engine (block_process.h) runs it.
///
/// A block is *pinned* (sink, window, slash line: read for sure), or a *member* (read in the last step), or *outside*
/// (read before), or *cold* (never read). In every step so many members leave, and so many outside and cold blocks
/// enter, as the overlap and the budget say; which ones is drawn by weights, by class of block and by age: of a member
/// the steps since it entered, of an outside block the steps since its last read.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "generate/ages.h"

namespace kvplace::generate {

/// Blocks read per step: `count`, or if that is 0 `share` of the blocks there are; at least one, at most all.
struct Budget {
  std::uint32_t count = 0;
  double share = 0;

  [[nodiscard]] std::uint32_t of(std::uint32_t blocks) const {
    const std::uint32_t wanted = count > 0 ? count : static_cast<std::uint32_t>(std::llround(share * blocks));
    return std::min(std::max(wanted, 1u), blocks);
  }
};

/// Parts of the read set that do not depend on chance alone [tokens; decode steps].
struct PinnedParts {
  std::uint32_t sink_tokens = 0;    ///< the first tokens
  std::uint32_t window_tokens = 0;  ///< the newest tokens, that of the step included
  std::uint32_t slash_lines = 0;    ///< blocks at a fixed distance behind the newest token
  double slash_steps = 1;           ///< a line keeps its distance so long, on average
};

/// How many blocks change per step.
struct Churn {
  double overlap = 0.9;       ///< mean share of the reads that were read in the step before
  double step_spread = 0;     ///< sigma of the log-normal factor by which steps differ
  std::vector<float> series;  ///< if not empty, instead of all this: the share that changes, by step, over and over
  double common = 0;          ///< share of that variance which all layers have in common
  double phase_steps = 0;     ///< mean steps between phase shifts of all layers; 0 = never
  double phase_share = 0;     ///< share of the budget that a phase shift replaces
};

/// Weights by [class * kNumAges + age class]; only ratios matter, since Churn says how many.
struct Weights {
  std::vector<double> leave;
  std::vector<double> enter;  ///< with `by_depth`, the second index is the class of stack depth (depth_classes.h)
  bool by_depth = false;
  std::vector<double> by_age;  ///< with `by_depth`: factor by age of the youngest block that a class of depth may hold
  std::vector<double> cold;    ///< a cold block's weight to enter, by age class of the trace
  double fresh = 0;            ///< share of the entering drawn uniformly from all that are not read
};

/// Classes of blocks, either drawn at birth (0 volatile, 1 heavy), or by how often the block was read of late.
struct Classes {
  std::uint32_t count = 1;
  double heavy_share = 0;   ///< heavy blocks at birth as a share of the budget
  double heavy_common = 0;  ///< chance that a block's class is that which all layers draw for it
  double drift = 0;         ///< chance that a block draws its class anew when it leaves
  double heavy_cold = 1;    ///< a cold heavy block's weight to enter, as a multiple
  /// Candidates compared when a block of a cell is chosen, by a popularity that all layers share: what makes layers
  /// read alike blocks. 1 = none; a fraction is the chance of one more.
  double choices = 1;
  double decay = 0;            ///< > 0: classes by the moving average of having been read, with this factor per step
  std::vector<double> bounds;  ///< least average of classes 1, 2, ...
};

struct ProcessModel {
  Budget budget;
  PinnedParts pinned;
  Churn churn;
  Weights weights;
  Classes classes;
};

}  // namespace kvplace::generate
