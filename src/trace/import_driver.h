/// What all importers share: formats yield rows in order, the driver checks the order, infers what the files do not
/// say, and writes the trace. It reads the files twice: first to learn the layers, the experts and the prompt.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/trace/formats.h"

namespace kvplace {

/// One layer of one decode step as a foreign file tells it. All ids are smaller than kvt::kMostBlocksPerLayer.
struct SourceRecord {
  std::uint64_t query = 0;  ///< any number; 0 if the format knows no queries
  std::uint64_t step = 0;   ///< decode step of the query
  std::uint64_t layer = 0;
  std::span<const std::uint32_t> kv;       ///< ids of KV pages, in the file's order, perhaps with duplicates
  std::span<const std::uint32_t> experts;  ///< likewise
};

/// The rows of one foreign file.
class RecordSource {
 public:
  virtual ~RecordSource() = default;
  /// False at the end. The record's spans are valid until the next call. Errors name file and place.
  [[nodiscard]] virtual Result<bool> next(SourceRecord& record) = 0;
  /// Where the record last read stands: "trace.csv:12".
  [[nodiscard]] virtual std::string place() const = 0;
};

struct ImportRules {
  /// Reads the head of the file; errors name it.
  Result<std::unique_ptr<RecordSource>> (*open)(const std::string& path) = nullptr;
  /// Rows name their query. The first decode step of a query may have any number, and a query that begins again at 0
  /// in a further file is another one. Without queries the first decode step is 0, and a further file may begin again
  /// at 0, which goes on with the decode steps of the trace.
  bool has_queries = false;
  /// The order of a row's KV ids may be a ranking (ImportOptions::read_k).
  bool may_be_ranked = false;
};

[[nodiscard]] Result<ImportSummary> import_records(const ImportRules& rules, std::span<const std::string> sources,
                                                   const std::string& out, const ImportOptions& options,
                                                   const RunContext& context);

}  // namespace kvplace
