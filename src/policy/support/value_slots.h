/// What the flagship remembers of one layer's blocks that are near, and the score it gives each after every step: how
/// likely the block is to be read soon, on a scale of its own (read_chance.h makes a probability of it).
///
/// Two scores. *By ranks*: the selector's rank of the block now (x), its moving average (0.8 per step), its peak that
/// fades, and how often the block was read over some 20 and 100 steps. *By reads*: how often it was read over some 2,
/// 5, 20 and 100 steps, and the steps since. The weights were fitted on one text of one model.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kvplace/base/units.h"

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
  RankValue(float x, std::uint8_t bin) : bits_((std::bit_cast<std::uint32_t>(x) & ~kBinBits) | bin) {}
  [[nodiscard]] float x() const { return std::bit_cast<float>(bits_); }
  [[nodiscard]] std::uint8_t bin() const { return static_cast<std::uint8_t>(bits_ & kBinBits); }

 private:
  static constexpr std::uint32_t kBinBits = 15;
  std::uint32_t bits_ = 0;
};

/// Of a block that was never near: seldom read so far.
[[nodiscard]] BlockHistory unknown_history(ScoredBy scored_by);
/// Of a block that exists since this step.
[[nodiscard]] BlockHistory newborn_history(ScoredBy scored_by, float x);
/// What `steps` without a read and without a rank make of it.
[[nodiscard]] BlockHistory aged(ScoredBy scored_by, BlockHistory history, std::uint32_t steps);

/// Structure of arrays: all work of a step is one pass over it that a compiler turns into vector code.
class ValueSlots {
 public:
  explicit ValueSlots(ScoredBy scored_by, bool with_frequency) : scored_by_(scored_by), frequency_(with_frequency) {}

  [[nodiscard]] std::size_t size() const { return blocks_.size(); }
  [[nodiscard]] BlockIndex block(std::size_t slot) const { return blocks_[slot]; }
  [[nodiscard]] float score(std::size_t slot) const { return scores_[slot]; }
  [[nodiscard]] std::uint8_t rank_bin(std::size_t slot) const { return x_[slot].bin(); }
  [[nodiscard]] std::uint32_t token(std::size_t slot) const { return tokens_[slot]; }
  [[nodiscard]] std::int32_t last_read(std::size_t slot) const { return last_reads_[slot]; }
  [[nodiscard]] BlockHistory history(std::size_t slot) const {
    return {first_[slot], second_[slot], reads_20_[slot], reads_100_[slot]};
  }

  /// Takes the slot size() - 1. `token`: its first; `last_read`: as for mark_read.
  void add(BlockIndex block, const BlockHistory& history, std::uint32_t token, std::int32_t last_read);
  /// The last slot takes the place of the one removed.
  void remove(std::size_t slot);

  /// Before marks are set: nothing is read, and all have this rank.
  void clear_marks(RankValue rank);
  /// `last_read`: decode step + 1 of the block's last read.
  void mark_read(std::size_t slot, std::int32_t last_read) {
    read_[slot] = 1;
    last_reads_[slot] = last_read;
  }
  void mark_rank(std::size_t slot, RankValue rank) { x_[slot] = rank; }
  /// Takes in the step's marks: histories move on, scores are new.
  void advance();

 private:
  ScoredBy scored_by_;
  bool frequency_;
  std::vector<BlockIndex> blocks_;
  std::vector<std::uint32_t> tokens_;
  std::vector<std::int32_t> last_reads_;
  std::vector<float> first_;
  std::vector<float> second_;
  std::vector<float> reads_20_;
  std::vector<float> reads_100_;
  std::vector<float> since_;  // steps since the last read; by reads
  std::vector<RankValue> x_;
  std::vector<float> read_;  // 1 if read in this step
  std::vector<float> scores_;
};

}  // namespace kvplace
