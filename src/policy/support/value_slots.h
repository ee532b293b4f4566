/// What the flagship remembers of one layer's blocks that are near, and the value it gives each after every step: how
/// likely the block is to be read soon, on a scale of its own.
///
/// Two values. *By ranks*: the selector's rank of the block now (x), its moving average (0.8 per step), its peak that
/// fades, how often the block was read over some 20 and 100 steps, and the steps since. *By reads*: how often it was
/// read over some 2, 5, 20 and 100 steps, and the steps since. The weights were fitted on one text of one model.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
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

/// Of a block that was never near: seldom read so far.
[[nodiscard]] BlockHistory unknown_history(ScoredBy scored_by);
/// Of a block that exists since this step.
[[nodiscard]] BlockHistory newborn_history(ScoredBy scored_by, float x);
/// What `steps` without a read and without a rank make of it.
[[nodiscard]] BlockHistory aged(ScoredBy scored_by, BlockHistory history, std::uint32_t steps);

/// Structure of arrays: all work of a step is one pass over it (dispatch/value_kernel.h), and some for each block that
/// leaves.
class ValueSlots {
 public:
  ValueSlots(ScoredBy scored_by, bool with_frequency);

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] BlockIndex block(std::size_t slot) const { return blocks_[slot]; }
  /// Of the block's rank in the latest step.
  [[nodiscard]] float x(std::size_t slot) const { return x_[slot]; }
  [[nodiscard]] std::int32_t last_read(std::size_t slot) const { return last_reads_[slot]; }
  [[nodiscard]] BlockHistory history(std::size_t slot) const {
    return {first_[slot], second_[slot], reads_20_[slot], reads_100_[slot]};
  }

  /// Takes the slot size() - 1. `last_read`: as for mark_read.
  void add(BlockIndex block, const BlockHistory& history, std::int32_t last_read);
  /// The last slot takes the place of the one removed.
  void remove(std::size_t slot);

  /// `last_read`: decode step + 1 of the block's last read.
  void mark_read(std::size_t slot, std::int32_t last_read) {
    read_[slot] = 1;
    last_reads_[slot] = last_read;
  }
  /// Before ranks are marked: all have this one.
  void clear_ranks(float x) { std::fill_n(x_.begin(), size_, x); }
  /// Of what is in no slot, named by any number that is none, nothing is kept. No branch: what is near is hard to
  /// guess.
  void mark_rank(std::size_t slot, float x) { x_[std::min(slot, capacity_)] = x; }
  /// Takes in the step's marks: histories move on; values are new; nothing is marked as read. `now`: decode step + 1.
  void advance(std::int32_t now);

  /// As the latest step gave it; infinite of those that least() found since.
  [[nodiscard]] float value(std::size_t slot) const { return values_[slot]; }
  [[nodiscard]] std::size_t count_below(float limit) const {
    return static_cast<std::size_t>(std::count_if(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(size_),
                                                  [limit](float value) { return value < limit; }));
  }
  /// Gives a block another value until the next step. REQUIRES: it came in since the latest one, or least() was not
  /// asked for since.
  void set_value(std::size_t slot, float value);
  /// The lowest value, infinite where all blocks were taken.
  float least();
  /// A block of that value, which has none any more until the next step; it keeps its slot. REQUIRES: there is one.
  BlockIndex take_least();

 private:
  struct Candidate {
    float value = 0;
    BlockIndex block;
  };

  void grow();
  void find_lowest();

  ScoredBy scored_by_;
  bool frequency_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;  // of every array; x_ has a place more
  std::vector<BlockIndex> blocks_;
  std::vector<std::int32_t> last_reads_;
  std::vector<float> first_;
  std::vector<float> second_;
  std::vector<float> reads_20_;
  std::vector<float> reads_100_;
  std::vector<float> x_;
  std::vector<float> read_;  // 1 if read in this step
  std::vector<float> values_;
  std::vector<Candidate> lowest_;  // taken out of values_, the lowest last
  ValueKernel kernel_;
};

}  // namespace kvplace
