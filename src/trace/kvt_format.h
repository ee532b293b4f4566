/// Constants and small pieces shared by the reader and the writer of .kvt files (docs/trace_format.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/trace/trace.h"

namespace kvplace::kvt {

inline constexpr std::string_view kMagic{"\x89KVT\r\n\x1a\n", 8};
inline constexpr std::string_view kEndMagic{"KVT-END\n", 8};
inline constexpr std::uint32_t kOldestVersion = 1;  ///< of traces that need nothing more; see TraceMeta
inline constexpr std::uint32_t kVersion = 2;
inline constexpr std::uint32_t kChunkMagic = 0x4b4e4843;   // "CHNK"
inline constexpr std::uint32_t kFooterMagic = 0x544f4f46;  // "FOOT"

inline constexpr std::size_t kPreambleBytes = 8 + 4 + 4;  // magic, version, length of the metadata
inline constexpr std::size_t kChunkHeaderBytes = 4 * 4 + 3 * 8 + 8;
inline constexpr std::size_t kTrailerBytes = 8 + 8;  // offset of the footer, end magic
inline constexpr std::size_t kFooterEntryBytes = 8 + 4 + 4 + 8;
inline constexpr std::size_t kFooterTotalsBytes = 4 + 4 + 8 + 16;
inline constexpr std::size_t kStepTokensBytes = 2 + 2;  // of a decode step, in the footer

// Limits: far above any real trace, low enough that a damaged length cannot ask for absurd memory.
inline constexpr std::uint32_t kMostMetadataBytes = 1u << 20;
inline constexpr std::uint32_t kMostLayers = 1u << 16;
inline constexpr std::uint32_t kMostPromptExperts = 1u << 16;  // over all layers; so that they fit the metadata
inline constexpr std::uint32_t kMostBlocksPerLayer = 1u << 28;
inline constexpr std::uint64_t kMostBlocks = 0xffffffffu;  // over all layers
inline constexpr std::uint32_t kMostStepTokens = 0xffff;
inline constexpr std::uint64_t kMostChunkBytes = std::uint64_t{1} << 28;
inline constexpr std::uint64_t kMostChunkReads = std::uint64_t{1} << 27;

/// The fixed part before a chunk's compressed payload.
struct ChunkHeader {
  std::uint32_t first_step = 0;
  std::uint32_t num_steps = 0;
  std::uint32_t blocks_per_layer = 0;  ///< largest id so far + 1, prompt included
  std::uint64_t num_reads = 0;
  std::uint64_t payload_bytes = 0;  ///< before compression
  std::uint64_t stored_bytes = 0;   ///< behind this header
  std::uint64_t checksum = 0;       ///< XXH64 of the header before this field and the stored bytes

  [[nodiscard]] std::array<std::byte, kChunkHeaderBytes> encode() const;
  /// Errors (without the file's name) on a wrong magic number or a size beyond the limits.
  [[nodiscard]] static Result<ChunkHeader> decode(std::span<const std::byte> bytes);
};

[[nodiscard]] std::uint64_t chunk_checksum(const ChunkHeader& header, std::span<const std::byte> stored);
[[nodiscard]] std::uint64_t checksum(std::span<const std::byte> bytes);

struct ChunkPlace {
  std::uint64_t offset = 0;
  std::uint32_t first_step = 0;
  std::uint32_t num_steps = 0;
  std::uint64_t num_reads = 0;
};

/// The version that a trace is written in: the oldest that holds it.
[[nodiscard]] std::uint32_t version_of(const TraceMeta& meta);
[[nodiscard]] std::string meta_to_json(const TraceMeta& meta);
/// Errors also if the trace needs something that is not known here.
[[nodiscard]] Result<TraceMeta> meta_from_json(std::string_view text, std::uint32_t version);
/// Errors if the numbers are out of range or contradict each other.
[[nodiscard]] Status check_meta(const TraceMeta& meta);

/// XXH3-128 of the contents, fed record by record.
class Digest {
 public:
  explicit Digest(const TraceMeta& meta);
  void add(const StepView& record);
  [[nodiscard]] std::array<std::byte, 16> value() const;

 private:
  void add_words(const void* data, std::size_t count);

  bool has_tokens_;
  struct Release {
    void operator()(void* state) const;
  };
  std::unique_ptr<void, Release> state_;
};

[[nodiscard]] std::string to_hex(std::span<const std::byte> bytes);

}  // namespace kvplace::kvt
