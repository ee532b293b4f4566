/// From scores to sets and rankings.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kvplace/base/units.h"
#include "select/method.h"

namespace kvplace {

/// A set (ascending) and its ranking (best first), which begins with the set's ids.
struct Choice {
  std::vector<BlockId> set;
  std::vector<BlockId> ranking;
};

/// Keeps its memory between calls.
class Chooser {
 public:
  /// The forced blocks, then the best by score, ties by the lower id, until the budget is met. The ranking has
  /// max(depth, set size) ids as far as there are blocks, none if depth is 0. Returns the first block whose score is
  /// not finite instead of choosing. REQUIRES: budget.blocks <= scores.size().
  [[nodiscard]] std::optional<std::uint32_t> choose(std::span<const float> scores, const Budget& budget,
                                                    std::uint32_t depth, Choice& choice);

  /// The union of sets, ranked: blocks of the union before others, then by the best place in any list, ties by the
  /// lower id. REQUIRES: rankings as deep as `depth`; ids < blocks.
  void merge(std::span<const Choice> lists, std::uint32_t blocks, std::uint32_t depth, Choice& choice);

 private:
  std::vector<std::uint64_t> forced_;
  std::vector<std::uint64_t> others_;
  std::vector<std::uint64_t> merged_;
  std::vector<std::uint64_t> place_;  // by block
};

}  // namespace kvplace
