/// Which blocks exist when. A block that is not there before the first decode step exists from the step on in which it
/// is first appended to, and is read or ranked then at the earliest: a trace that says otherwise is damaged.
///
/// Chunks are decoded one by one, in any order. The decoder notes what each has to say by itself, the ledger of a
/// reader puts these notes together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "kvplace/trace/trace.h"

namespace kvplace {

/// Notes on one layer of a chunk. Bit i of word w is of block 64 w + i.
class LayerBirths {
 public:
  /// Blocks below `known` exist before the chunk.
  LayerBirths(std::uint32_t known, std::uint32_t num_blocks)
      : known_(known), born_((std::size_t{num_blocks} + 63) / 64), early_(born_.size()) {}

  void append(BlockId id) {
    born_[id.value() / 64] |= std::uint64_t{1} << (id.value() % 64);
    while (known_ / 64 < born_.size() && (born_[known_ / 64] >> (known_ % 64) & 1) != 0) {
      ++known_;
    }
  }
  void use(std::uint32_t id) {
    if (id >= known_) {
      early_[id / 64] |= ~born_[id / 64] & (std::uint64_t{1} << (id % 64));
    }
  }
  /// Blocks of a word.
  void use_word(std::size_t word, std::uint64_t ids) {
    if (word >= known_ / 64) {
      const std::uint64_t unknown = word == known_ / 64 ? ~std::uint64_t{0} << (known_ % 64) : ~std::uint64_t{0};
      early_[word] |= ids & unknown & ~born_[word];
    }
  }

  /// Appended to in the chunk.
  [[nodiscard]] const std::vector<std::uint64_t>& born() const { return born_; }
  /// Read or ranked, but neither known to exist before the chunk nor appended to in it by then.
  [[nodiscard]] const std::vector<std::uint64_t>& early() const { return early_; }

 private:
  std::uint32_t known_;
  std::vector<std::uint64_t> born_;
  std::vector<std::uint64_t> early_;
};

/// A block that a chunk uses before it exists.
struct UnbornUse {
  std::size_t chunk = 0;
  std::uint32_t layer = 0;
  BlockId block;
};

/// Safe to use from several threads. Memory: 4 bytes per block that is not there from the start, and as many again
/// while chunks are decoded out of order; 4 bytes per chunk and layer.
class BirthLedger {
 public:
  BirthLedger(const TraceMeta& meta, const TraceTotals& totals, std::size_t num_chunks);

  /// To note a chunk in, by layer: with what is known so far of those before it.
  [[nodiscard]] std::vector<LayerBirths> before(std::size_t chunk) const;
  /// Takes in the notes of a chunk. Returns a use that is too early as soon as that is sure: with its chunk if all
  /// those before it were taken in, else with the last chunk of the trace that is.
  [[nodiscard]] std::optional<UnbornUse> add(std::size_t chunk, const std::vector<LayerBirths>& notes);

 private:
  static constexpr std::uint32_t kNever = 0xffffffff;

  [[nodiscard]] std::size_t place(std::uint32_t layer, std::uint32_t block) const {
    return std::size_t{layer} * (blocks_per_layer_ - initial_blocks_) + block - initial_blocks_;
  }
  void take_births(std::size_t chunk, const std::vector<LayerBirths>& notes);
  void advance();
  [[nodiscard]] std::optional<UnbornUse> check(std::size_t chunk, const std::vector<LayerBirths>& notes) const;
  void remember(std::size_t chunk, const std::vector<LayerBirths>& notes);
  [[nodiscard]] std::optional<UnbornUse> check_remembered();

  std::uint32_t layers_;
  std::uint32_t initial_blocks_;
  std::uint32_t blocks_per_layer_;
  mutable std::mutex mutex_;
  std::vector<bool> taken_;             // by chunk
  std::size_t num_taken_in_order_ = 0;  // the first chunks, up to one that is not yet taken
  std::vector<std::uint32_t> born_in_;  // by place(): the first chunk that appends to the block
  std::vector<std::uint32_t> used_in_;  // by place(): the first chunk that was taken out of order and uses it early
  std::vector<std::uint32_t> known_;    // [chunk * layers + layer]: blocks below exist before the chunk
};

}  // namespace kvplace
