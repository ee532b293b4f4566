/// A model fitted to a real trace (twin.h), as settings: it can be saved, read back and run again in any shape.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kvplace/base/units.h"

namespace kvplace {

/// The process of one layer; docs/generators.md tells what it does. Weights are >= 0, and only their ratios matter.
struct FittedProcess {
  std::uint32_t budget_blocks = 0;  ///< blocks read per step, or if it is 0
  double budget_share = 0;          ///< the share of the blocks there are
  std::uint32_t sink_tokens = 0;
  std::uint32_t window_tokens = 0;
  double choices = 1;          ///< as GeneratorConfig's reuse.choices
  std::vector<float> changed;  ///< share of the reads that were not read in the step before, by step from step 1
  std::vector<double> leave;   ///< weights to leave, by [class of frequency][class of age]
  std::vector<double> enter;   ///< weights to come in, by [class of frequency][class of stack depth]
  std::vector<double> by_age;  ///< factors of these, by class of age
  std::vector<double> cold;    ///< weights of blocks never read, by class of age of the trace
};

struct Fit {
  std::string original;  ///< file name of the trace
  std::string selection;
  std::optional<Bytes> block_bytes;
  std::uint32_t prompt_tokens = 0;
  /// By layer of the original; one of them may be empty.
  std::vector<FittedProcess> pages;
  std::vector<FittedProcess> experts;

  [[nodiscard]] bool empty() const { return pages.empty() && experts.empty(); }
};

}  // namespace kvplace
