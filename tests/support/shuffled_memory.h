/// Far memory whose pieces are complete in random order, late, and whose bytes move at the last moment: what reads a
/// page too early, or gives its frame away too early, reads nonsense.
#pragma once

#include <cstring>
#include <random>
#include <vector>

#include "kvplace/runtime/memory.h"

namespace kvplace::testing {

class ShuffledMemory final : public Memory {
 public:
  ShuffledMemory(Bytes capacity, std::uint32_t alignment, std::uint32_t seed)
      : bytes_(static_cast<std::size_t>(capacity.value()), std::byte{0x7f}), random_(seed) {
    describe("shuffled", capacity, capacity, alignment);
  }

  /// The n-th piece from now on fails.
  void fail_after(std::size_t pieces) { fails_after_ = pieces; }

  Status submit(std::span<const Piece> pieces) override {
    for (const Piece& piece : pieces) {
      if (piece.offset % alignment() != 0 || piece.bytes % alignment() != 0 ||
          piece.offset + piece.bytes > bytes_.size()) {
        return failed("a piece is not within the memory, or not aligned");
      }
      if (piece.direction == Direction::kRead) {
        std::memset(piece.buffer, 0xff, piece.bytes);  // NaN
      }
      pieces_.push_back(piece);
    }
    return {};
  }

  Status collect(std::vector<std::uint64_t>& complete, bool wait) override {
    std::size_t count = pieces_.empty() ? 0 : random_() % (pieces_.size() + 1);
    count = wait && count == 0 && !pieces_.empty() ? 1 : count;
    for (; count > 0; --count) {
      if (fails_after_-- == 0) {
        fails_after_ = 0;
        return failed("shuffled: the device is gone");
      }
      std::swap(pieces_[random_() % pieces_.size()], pieces_.back());
      const Piece piece = pieces_.back();
      pieces_.pop_back();
      std::byte* const place = bytes_.data() + piece.offset;
      const bool reads = piece.direction == Direction::kRead;
      std::memcpy(reads ? piece.buffer : place, reads ? place : piece.buffer, piece.bytes);
      complete.push_back(piece.tag);
    }
    return {};
  }

  [[nodiscard]] std::size_t in_flight() const override { return pieces_.size(); }

 private:
  std::vector<std::byte> bytes_;
  std::mt19937 random_;
  std::vector<Piece> pieces_;
  std::size_t fails_after_ = static_cast<std::size_t>(-1);
};

}  // namespace kvplace::testing
