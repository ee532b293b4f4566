/// Exact LRU stack distances of a stream of steps: misses of an LRU list of every capacity from one pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kvplace/trace/trace.h"

namespace kvplace {

/// Counts reads by the number of blocks that were touched more recently. At most one entry per block.
class DistanceHistogram {
 public:
  void add(std::size_t distance) {
    if (distance >= counts_.size()) {
      counts_.resize(distance + 1);
    }
    ++counts_[distance];
  }
  /// A read of a block never touched before.
  void add_cold() { ++cold_; }

  /// Reads that a list of `capacity` places misses.
  [[nodiscard]] std::uint64_t misses(std::uint64_t capacity) const;
  /// The same for every capacity from 0 to `most`.
  [[nodiscard]] std::vector<std::uint64_t> misses_up_to(std::uint64_t most) const;

 private:
  std::vector<std::uint64_t> counts_;
  std::uint64_t cold_ = 0;
};

/// Blocks in order of their last touch; see MissCurve for what a step does.
///
/// Each block that was ever touched has a slot; a later touch has a higher slot. A bitmap says which slots are in use
/// and a Fenwick tree counts them by words of it. When the slots run out, the blocks move down into the lowest ones, so
/// that memory stays at a few bytes per block.
class RecencyList {
 public:
  /// The most blocks a list can hold.
  static constexpr std::uint64_t kMostBlocks = (std::uint64_t{1} << 31) - 64;

  /// REQUIRES: blocks <= kMostBlocks.
  explicit RecencyList(std::size_t blocks);

  /// One step. Spans are ascending and unique; block id b of them is block first_block + b of the list.
  void touch(std::span<const BlockId> reads, std::span<const BlockId> appended, std::size_t first_block = 0);

  /// One step as the policy `lru` with `capacity` places takes it: what it has near is refreshed first, then what it
  /// has not enters, both in ascending order; a block that is near and only appended to is not touched. For this
  /// capacity the misses are the policy's, exactly; for others up to the order of blocks within a step.
  void touch_like_lru(std::span<const BlockId> reads, std::span<const BlockId> appended, std::uint64_t capacity);

  /// Of all reads so far, without those of blocks appended in the step that read them.
  [[nodiscard]] const DistanceHistogram& distances() const { return distances_; }

 private:
  static constexpr std::uint32_t kNoSlot = 0xffffffffu;
  static constexpr std::size_t kWordSlots = 64;

  /// Blocks touched after the one at `slot`. Calls in ascending order of slots are fastest.
  [[nodiscard]] std::uint32_t distance_of(std::uint32_t slot);
  void make_room(std::size_t touches);
  /// Slots in use before `word`.
  [[nodiscard]] std::uint32_t used_before(std::size_t word) const;
  void count(std::size_t word, std::uint32_t change);
  void release(std::span<const std::uint32_t> slots);
  void occupy(std::size_t begin, std::size_t end);
  void renumber();

  std::vector<std::uint32_t> slot_;     ///< by block
  std::vector<std::uint64_t> used_;     ///< a bit per slot
  std::vector<std::uint32_t> tree_;     ///< Fenwick tree of used slots by word; changes are modulo 2^32
  std::vector<std::uint32_t> vacated_;  ///< scratch
  std::vector<BlockId> near_;           ///< scratch
  std::vector<BlockId> entering_;       ///< scratch
  std::size_t known_word_ = 0;          ///< of distance_of(): valid within a step
  std::uint32_t before_known_word_ = 0;
  std::size_t next_slot_ = 0;  ///< slots from here on are free
  std::uint32_t size_ = 0;     ///< blocks in the list
  DistanceHistogram distances_;
};

}  // namespace kvplace
