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
  std::optional<std::uint32_t> block_tokens;   ///< tokens of a KV page; default: 1, or what the file shows
  std::optional<std::uint32_t> prompt_tokens;  ///< default: the file's, or the least that lets every block exist
  std::optional<std::uint32_t> prompt_rows;    ///< arrays: rows of the prompt at the head; default: what the ids show
  std::optional<std::uint32_t> read_k;         ///< arrays: ids are a ranking, of which the first k were read
  std::optional<std::uint32_t> experts;        ///< arrays: ids are experts; everywhere: experts of a layer
  std::optional<std::uint32_t> layers;         ///< of an array whose shape does not say
  std::string request;                         ///< of files that hold several: the one to take
  std::string columns;                         ///< records: "request=NAME,layer=NAME,step=NAME,blocks=NAME"
  std::optional<Bytes> block_bytes;            ///< size of a KV page
  std::string model;                           ///< name of a model preset, kept in the metadata
  std::string selection;                       ///< kept in the metadata
  std::string source;                          ///< likewise; default: the files' names
  TraceWriterOptions writer;
};

struct ImportSummary {
  TraceTotals totals;
  TraceMeta meta;
  bool prompt_tokens_inferred = false;
  std::string taken;  ///< what of the files was taken, if they hold more than decode steps; one clause
};

struct ExportOptions {
  bool ranking = false;  ///< topk-npy: write the rankings instead of the reads
};

/// One foreign format; a null function means that the direction is not offered.
struct Format {
  std::string name;
  std::string doc;
  /// Whether a file that begins so, decompressed, is of this format; null: it has to be named.
  bool (*recognise)(std::string_view head) = nullptr;
  /// Reads `sources` in order (plain, .zst or .gz, recognised by content) into the trace `out`.
  Result<ImportSummary> (*import_trace)(std::span<const std::string> sources, const std::string& out,
                                        const ImportOptions& options, const RunContext& context) = nullptr;
  /// Writes `out`, compressed if its name ends in .zst or .gz.
  Status (*export_trace)(const TraceReader& trace, const std::string& out, const ExportOptions& options,
                         const RunContext& context) = nullptr;
  /// The names of the requests that the files hold, as ImportOptions::request takes them; null if a trace is made of
  /// all that there is.
  Result<std::vector<std::string>> (*requests)(std::span<const std::string> sources) = nullptr;
};

class FormatRegistry {
 public:
  /// All formats of the library.
  [[nodiscard]] static const FormatRegistry& instance();

  void add(Format format) { formats_.push_back(std::move(format)); }
  [[nodiscard]] std::span<const Format> formats() const { return formats_; }
  /// Errors with the nearest name.
  [[nodiscard]] Result<const Format*> find(std::string_view name) const;
  /// The format of a file by its content, whatever its name. Errors say what the file is, or how to name its format.
  [[nodiscard]] Result<const Format*> recognise(const std::string& path) const;

 private:
  std::vector<Format> formats_;
};

}  // namespace kvplace
