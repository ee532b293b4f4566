/// Promotions whose bytes have not all moved yet, in the order in which they were issued (formulation,
/// "Migration rules").
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "kvplace/base/units.h"

namespace kvplace {

class CopyQueue {
 public:
  explicit CopyQueue(std::uint32_t num_blocks) : ticket_(num_blocks, 0) {}

  /// REQUIRES: more than no bytes, and that the block is not queued.
  void issue(BlockIndex block, Bytes size);
  /// What of a block has not moved yet. REQUIRES: it is queued.
  [[nodiscard]] Bytes left(BlockIndex block) const { return copies_[ticket_[block.value()] - num_gone_].left; }
  /// So many bytes of the block need no longer be moved; with all that are left it is no longer queued. REQUIRES: it is
  /// queued, and no more than are left.
  void take(BlockIndex block, Bytes size);
  /// Moves so many bytes, no more than are queued. Blocks whose last byte moves are appended to `complete`. Returns of
  /// how many blocks bytes moved.
  std::int64_t move(Bytes copied, std::vector<BlockIndex>& complete);

  [[nodiscard]] Bytes queued() const { return queued_; }
  /// How many blocks are queued.
  [[nodiscard]] std::uint32_t in_flight() const { return in_flight_; }

 private:
  struct Copy {
    BlockIndex block;
    Bytes left;  // 0: all taken, or moved
  };

  /// So that bytes are left of the first, if there is one.
  void pop_done();

  std::deque<Copy> copies_;
  std::uint64_t num_gone_ = 0;         // copies that left the front
  std::vector<std::uint64_t> ticket_;  // by BlockIndex: its place counted from the first copy ever; of queued blocks
  Bytes queued_;
  std::uint32_t in_flight_ = 0;
};

}  // namespace kvplace
