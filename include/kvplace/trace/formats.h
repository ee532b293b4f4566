/// Foreign trace formats. A format is one file in src/trace/formats/ that registers itself by defining
/// `void kvplace::register_format_<file name>(FormatRegistry&)`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/trace/reader.h"
#include "kvplace/trace/writer.h"

namespace kvplace {

/// What a foreign file does not say about itself.
struct ImportOptions {
  std::uint32_t block_tokens = 1;              ///< tokens of a KV page
  std::optional<std::uint32_t> prompt_tokens;  ///< default: the least that lets every block exist when it is read
  std::optional<std::uint32_t> read_k;         ///< topk-npy: ids are a ranking, of which the first k were read
  std::optional<Bytes> block_bytes;            ///< size of a KV page
  std::string model;                           ///< name of a model preset, kept in the metadata
  std::string selection;                       ///< kept in the metadata
  TraceWriterOptions writer;
};

struct ImportSummary {
  TraceTotals totals;
  TraceMeta meta;
  bool prompt_tokens_inferred = false;
};

struct ExportOptions {
  bool ranking = false;  ///< topk-npy: write the rankings instead of the reads
};

/// One foreign format; a null function means that the direction is not offered.
struct Format {
  std::string name;
  std::string doc;
  /// Reads `sources` in order (plain, .zst or .gz, recognised by content) into the trace `out`.
  Result<ImportSummary> (*import_trace)(std::span<const std::string> sources, const std::string& out,
                                        const ImportOptions& options, const RunContext& context) = nullptr;
  /// Writes `out`, compressed if its name ends in .zst or .gz.
  Status (*export_trace)(const TraceReader& trace, const std::string& out, const ExportOptions& options,
                         const RunContext& context) = nullptr;
};

class FormatRegistry {
 public:
  /// All formats of the library.
  [[nodiscard]] static const FormatRegistry& instance();

  void add(Format format) { formats_.push_back(std::move(format)); }
  [[nodiscard]] std::span<const Format> formats() const { return formats_; }
  /// Errors with the nearest name.
  [[nodiscard]] Result<const Format*> find(std::string_view name) const;

 private:
  std::vector<Format> formats_;
};

}  // namespace kvplace
