/// The swap process: the read set of one layer keeps its newest blocks and swaps its oldest for blocks drawn at random.
/// Memory O(blocks), time O(blocks) per step.
#pragma once

#include <cstdint>
#include <vector>

#include "generate/process_model.h"
#include "generate/random.h"
#include "kvplace/base/units.h"
#include "kvplace/generate/config.h"

namespace kvplace::generate {

/// In each step the set of the step before grows to the budget by random blocks of the window. Then a number of its
/// oldest, uniform in `least` to `most` of the set, make room for as many random blocks of the window not read so far.
/// The window is the newest so many blocks as its share says, and never fewer than are read.
/// Source: scripts in the repository fangyunh/Data_Placement_Optimization, those of Fang et al. as it seems.
class SwapProcess {
 public:
  /// The stream depends on all arguments and nothing else.
  SwapProcess(const GeneratorConfig::Swap& swap, const Budget& budget, std::uint32_t first_block, std::uint64_t seed,
              std::uint32_t layer);

  /// Goes on to the next decode step, in which there are `blocks`. REQUIRES: blocks >= 1, and no fewer than before.
  void step(std::uint32_t blocks);

  /// Appends the ids read, ascending.
  void append_reads(std::vector<BlockId>& out) const;
  /// Appends up to `depth` ids, the blocks read first, then the others, each from the newest on: the order in which
  /// they leave, backwards. REQUIRES: depth >= num_reads().
  void append_ranking(std::uint32_t depth, std::vector<BlockId>& out) const;
  [[nodiscard]] std::uint32_t num_reads() const { return num_reads_; }

 private:
  /// The blocks from `begin` on that are not read.
  void find_unread(std::uint32_t begin);
  /// `count` of the blocks found, or all if there are fewer, become read.
  void enter(std::uint32_t count);

  GeneratorConfig::Swap swap_;
  Budget budget_;
  std::uint32_t first_block_;
  Random random_;
  std::vector<bool> is_read_;
  std::uint32_t num_reads_ = 0;
  std::vector<std::uint32_t> unread_;
};

}  // namespace kvplace::generate
