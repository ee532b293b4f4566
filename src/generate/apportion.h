/// Draws from groups of alike things, all at once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "generate/random.h"

namespace kvplace::generate {

/// Splits `wanted` draws without replacement over groups: group i has counts[i] members of weight weights[i] each.
/// Systematic sampling, so that each group gets its share rounded up or down; what a small group cannot give goes to
/// the others. Groups of weight 0 come last. O(groups) per call.
class Apportionment {
 public:
  /// Draws per group; their sum is the lesser of `wanted` and all members.
  std::span<const std::uint32_t> draw(std::span<const std::uint32_t> counts, std::span<const double> weights,
                                      std::uint32_t wanted, Random& random);

 private:
  std::vector<std::uint32_t> drawn_;
};

/// The same over the same groups again and again, so that each group has its share of all draws so far, but for one or
/// two: what one call gives too little or too much the next calls make up for.
class EvenApportionment {
 public:
  std::span<const std::uint32_t> draw(std::span<const std::uint32_t> counts, std::span<const double> shares,
                                      std::uint32_t wanted, Random& random);

 private:
  std::vector<double> owed_;
  std::vector<std::uint32_t> drawn_;
};

}  // namespace kvplace::generate
