/// The reads of one layer in memory, for what looks at them more than once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "generate/block_process.h"
#include "generate/plan.h"

namespace kvplace::generate {

/// Ids are relative to the range they are of.
struct LayerReads {
  BlockRange range;
  std::vector<BlockId> ids;
  std::vector<std::size_t> ends{0};

  [[nodiscard]] std::uint32_t num_steps() const { return static_cast<std::uint32_t>(ends.size() - 1); }
  [[nodiscard]] std::span<const BlockId> step(std::uint32_t t) const {
    return std::span(ids).subspan(ends[t], ends[t + 1] - ends[t]);
  }
  /// Appends a step's reads that are in the range; `end` is behind its last id.
  void add(std::span<const BlockId> reads, std::uint32_t end) {
    for (const BlockId id : reads) {
      if (id.value() >= range.first && id.value() < end) {
        ids.emplace_back(id.value() - range.first);
      }
    }
    ends.push_back(ids.size());
  }
  [[nodiscard]] double mean_reads() const {
    return num_steps() == 0 ? 0 : static_cast<double>(ids.size()) / num_steps();
  }
  /// The page appended to in a step. REQUIRES: range.block_tokens > 0.
  [[nodiscard]] std::uint32_t newest(std::uint32_t t) const { return (range.prompt_tokens + t) / range.block_tokens; }
  /// Blocks there are in a step.
  [[nodiscard]] std::uint32_t num_blocks(std::uint32_t t) const {
    return range.block_tokens == 0 ? range.initial : std::max(range.initial, newest(t) + 1);
  }
};

}  // namespace kvplace::generate
