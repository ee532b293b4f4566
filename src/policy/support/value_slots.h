/// What the flagship remembers of one layer's blocks that are near, and the score it gives each after every step: how
/// likely the block is to be read soon, on a scale of its own (read_chance.h makes a probability of it).
///
/// Two scores. *By ranks*: the selector's rank of the block now (x), its moving average (0.8 per step), its peak that
/// fades, and how often the block was read over some 20 and 100 steps. *By reads*: how often it was read over some 2,
/// 5, 20 and 100 steps, and the steps since. The weights were fitted on one text of one model.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kvplace/base/units.h"
#include "policy/support/dispatch/value_kernel.h"

namespace kvplace {

enum class ScoredBy : std::uint8_t { kRanks, kReads };

/// Four moving values of a block. By ranks: average of x, peak of x, and reads over 20 and 100 steps; by reads: reads
/// over 2, 5, 20 and 100 steps.
struct BlockHistory {
  float first = 0;
  float second = 0;
  float reads_20 = 0;
  float reads_100 = 0;
};

/// x of a rank counted from 0, where `reads` blocks are read: 0 at the last block that is read, above it positive.
[[nodiscard]] float rank_value(double rank, double reads);

/// x and the bin of a rank (read_chance.h) in one word: the bin takes the lowest bits of x.
class RankValue {
 public:
  RankValue() = default;
  RankValue(float x, std::uint8_t bin) : bits_((std::bit_cast<std::uint32_t>(x) & ~kRankBinBits) | bin) {}
  [[nodiscard]] std::uint8_t bin() const { return static_cast<std::uint8_t>(bits_ & kRankBinBits); }
  [[nodiscard]] std::uint32_t bits() const { return bits_; }

 private:
  std::uint32_t bits_ = 0;
};

/// Of a block that was never near: seldom read so far.
[[nodiscard]] BlockHistory unknown_history(ScoredBy scored_by);
/// Of a block that exists since this step.
[[nodiscard]] BlockHistory newborn_history(ScoredBy scored_by, float x);
/// What `steps` without a read and without a rank make of it.
[[nodiscard]] BlockHistory aged(ScoredBy scored_by, BlockHistory history, std::uint32_t steps);

/// Structure of arrays: all work of a step is one pass over it (dispatch/value_kernel.h).
class ValueSlots {
 public:
  explicit ValueSlots(ScoredBy scored_by, bool with_frequency);

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] BlockIndex block(std::size_t slot) const { return blocks_[slot]; }
  /// The score and the value, ln of the chance of a read, that the last step gave.
  [[nodiscard]] float score(std::size_t slot) const { return scores_[slot]; }
  [[nodiscard]] float value(std::size_t slot) const { return values_[slot]; }
  [[nodiscard]] std::uint8_t rank_bin(std::size_t slot) const {
    return static_cast<std::uint8_t>(x_[slot] & kRankBinBits);
  }
  [[nodiscard]] std::uint32_t token(std::size_t slot) const { return tokens_[slot]; }
  [[nodiscard]] std::int32_t last_read(std::size_t slot) const { return last_reads_[slot]; }
  [[nodiscard]] BlockHistory history(std::size_t slot) const {
    return {first_[slot], second_[slot], reads_20_[slot], reads_100_[slot]};
  }

  /// Takes the slot size() - 1. `token`: its first; `last_read`: as for mark_read.
  void add(BlockIndex block, const BlockHistory& history, std::uint32_t token, std::int32_t last_read);
  /// The last slot takes the place of the one removed.
  void remove(std::size_t slot);

  /// `last_read`: decode step + 1 of the block's last read.
  void mark_read(std::size_t slot, std::int32_t last_read) {
    read_[slot] = 1;
    last_reads_[slot] = last_read;
  }
  /// Before ranks are marked: all have this one.
  void clear_ranks(RankValue rank);
  /// Of what is in no slot, named by any number that is none, nothing is kept. No branch: what is near is hard to
  /// guess.
  void mark_rank(std::size_t slot, RankValue rank) { x_[std::min(slot, capacity_)] = rank.bits(); }
  /// Finds the blocks of the lowest values below `limit`, at most so many, of equals the first; appends them to
  /// `blocks`, the lowest first. They have no value any more. A pass for each, so for few.
  LowestValues take_lowest(float limit, std::size_t most, std::vector<BlockIndex>& blocks);
  /// Takes in the step's marks: histories move on; scores and values are new; nothing is marked as read. `now`: decode
  /// step + 1; `newest_token`: of the text so far.
  void advance(const ChanceTables& chances, std::int32_t now, std::uint32_t newest_token);

 private:
  void grow();

  ScoredBy scored_by_;
  bool frequency_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;  // of every array; x_ has a place more
  std::vector<BlockIndex> blocks_;
  std::vector<std::uint32_t> tokens_;
  std::vector<std::int32_t> last_reads_;
  std::vector<float> first_;
  std::vector<float> second_;
  std::vector<float> reads_20_;
  std::vector<float> reads_100_;
  std::vector<float> since_;      // steps since the last read; by reads
  std::vector<std::uint32_t> x_;  // the bits of a RankValue
  std::vector<float> read_;       // 1 if read in this step
  std::vector<float> scores_;
  std::vector<float> values_;
  std::vector<std::uint32_t> found_;
  ValueKernel kernel_;
};

}  // namespace kvplace
