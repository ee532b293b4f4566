/// The payload of one chunk of a .kvt file (docs/trace_format.md): whole decode steps as byte streams.
///
/// A layer's read set is stored as its difference from the set the same layer read one decode step before (nothing,
/// at the start of a chunk): as a list of gaps, or as a bitmap where that is shorter. So a dense trace costs at most a
/// bit per (block, step), and a trace of high overlap little more than its changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/trace/trace.h"
#include "trace/block_births.h"

namespace kvplace {

class ChunkEncoder {
 public:
  explicit ChunkEncoder(const TraceMeta& meta);

  void add(const StepView& record);
  [[nodiscard]] std::size_t payload_bytes() const;
  [[nodiscard]] std::uint64_t num_reads() const { return num_reads_; }
  /// The payload; the encoder is empty afterwards.
  [[nodiscard]] std::vector<std::byte> take();

 private:
  void add_reads(const StepView& record);
  void add_appended(const StepView& record);
  void add_ranking(const StepView& record);

  bool has_ranking_;
  bool has_read_bytes_;
  bool has_tokens_;
  std::uint64_t num_reads_ = 0;
  std::vector<std::vector<BlockId>> previous_reads_;       ///< by layer
  std::vector<std::vector<std::uint32_t>> previous_rank_;  ///< by layer: block -> rank + 1
  std::vector<std::vector<BlockId>> previous_ranking_;     ///< by layer
  std::uint32_t previous_appended_ = 0;
  std::vector<std::uint32_t> toggled_;
  std::vector<std::uint8_t> reads_;
  std::vector<std::uint8_t> appended_;
  std::vector<std::uint8_t> ranking_;
  std::vector<std::uint8_t> read_bytes_;
  std::vector<std::uint8_t> tokens_;
};

/// Limits that keep a damaged or hostile chunk from using more than its share of memory.
struct ChunkLimits {
  std::uint32_t first_step = 0;
  std::uint32_t num_steps = 0;
  std::uint32_t blocks_per_layer = 0;  ///< ids must be smaller
  std::uint64_t num_reads = 0;         ///< exactly so many are in the chunk
};

/// Stateless between calls; friend of Segment so that it fills its arrays without copies.
class ChunkDecoder {
 public:
  /// The sizes of the streams.
  [[nodiscard]] static std::size_t header_bytes(const TraceMeta& meta) {
    return (meta.has_tokens ? 5 : 4) * sizeof(std::uint64_t);
  }
  /// True if the parts take all of the payload; else decode() needs no more than its front, bytes_of() long.
  [[nodiscard]] static bool reads_all(const TraceMeta& meta, ChunkParts parts) {
    return parts == ChunkParts::kAll || !meta.has_ranking || meta.has_read_bytes;
  }
  /// `header`: of a payload that is not all read. May be more than there is, if that is damaged.
  [[nodiscard]] static std::size_t bytes_of(ChunkParts parts, const TraceMeta& meta, std::span<const std::byte> header);
  /// Every id, count and length of those parts is checked; the message says what is wrong, without the file's name.
  /// `births`, by layer, of at least limits.blocks_per_layer blocks, takes the notes from which follows whether all
  /// blocks exist when they are used.
  [[nodiscard]] static Result<Segment> decode(const TraceMeta& meta, const ChunkLimits& limits,
                                              std::span<const std::byte> payload, ChunkParts parts,
                                              std::span<LayerBirths> births);

 private:
  /// Whether a segment of a served batch is as its table of requests says; attaches its tokens.
  [[nodiscard]] static bool follows(const ServedRequests& served, Segment& segment);
};

}  // namespace kvplace
