/// What all importers share: formats yield rows in order, the driver checks the order, infers what the files do not
/// say, and writes the trace. It reads the files twice: first to learn the layers, the experts and the prompt.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "kvplace/base/file_guard.h"
#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/trace/formats.h"
#include "trace/prompt_experts.h"
#include "trace/row_order.h"

namespace kvplace {

/// One layer of one decode step as a foreign file tells it. All ids are smaller than kvt::kMostBlocksPerLayer.
struct SourceRecord {
  std::uint64_t query = 0;  ///< any number; 0 if the format knows no queries
  std::uint64_t step = 0;   ///< decode step of the query
  std::uint64_t layer = 0;
  std::span<const std::uint32_t> kv;       ///< ids of KV pages, in the file's order, perhaps with duplicates
  std::span<const std::uint32_t> experts;  ///< likewise
  StepTokens tokens;                       ///< the same in all layers of the step
  std::optional<std::uint64_t> position;   ///< of the step's first token in the request, if the file says so
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

/// What a file says about itself, found before its rows are read.
struct SourceFacts {
  std::optional<std::uint32_t> prompt_tokens;
  std::optional<std::uint32_t> block_tokens;
  std::uint32_t experts = 0;                           ///< of a layer
  std::uint32_t dense_layers = 0;                      ///< layers that were left out before the first
  std::map<std::uint64_t, std::int64_t> expert_bytes;  ///< by layer, as the file numbers them
  std::string taken;                                   ///< ImportSummary::taken
  /// What is wrong with an id beyond the context, if the prompt is known for certain; else the prompt is in doubt.
  std::string beyond_context;
};

/// Options that say what only some formats leave open; one that a format does not take is refused.
struct TakenOptions {
  bool read_k = false;
  bool experts = false;
  bool layers = false;
  bool prompt_rows = false;
  bool request = false;
  bool columns = false;
};

struct ImportRules {
  /// Reads the head of the file; errors name it.
  std::function<Result<std::unique_ptr<RecordSource>>(const std::string& path)> open;
  RowRules rows;
  TakenOptions takes;
  /// The order of a row's KV ids is kept as a ranking if it is not ascending, or if ImportOptions::read_k says so.
  bool order_is_ranking = false;
  SourceFacts facts;
  const PromptExperts* prompt = nullptr;  ///< what the prompt chose, known when all rows have been read once
};

/// For what looks into the files before it calls import_records: claims the output, and refuses what cannot be read
/// twice.
[[nodiscard]] Status begin_import(FileScope& files, std::span<const std::string> sources, const std::string& out);

[[nodiscard]] Result<ImportSummary> import_records(const ImportRules& rules, std::span<const std::string> sources,
                                                   const std::string& out, const ImportOptions& options,
                                                   const RunContext& context);

}  // namespace kvplace
