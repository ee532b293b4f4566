/// Streams of records, one row per request, layer and decode step (or per read): what instrumented engines write.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "trace/import_driver.h"

namespace kvplace {

/// Names of the values of a row; "" for what there is none of.
struct RecordForm {
  std::string request;  ///< of a file that holds several; may be missing in rows
  std::string layer;
  std::string step;               ///< decode steps in order, from any number on
  std::string blocks;             ///< ids of KV blocks: a list, or one per row
  std::string experts;            ///< ids of experts, likewise
  std::string phase;              ///< 0, "prefill" or "prompt": the row is the prompt's
  std::string length;             ///< tokens of the context with those of the row: a row of several is the prompt's
  std::string verified;           ///< tokens that a step verified
  std::string accepted;           ///< of them those that were accepted
  std::string position;           ///< of the step's first token in the request, where `step` only counts
  bool step_is_position = false;  ///< `step` is that, unless rows have a position; the first tells the prompt
  bool is_named = false;          ///< the names are the user's
  bool steps_by_layer = false;    ///< there is no step: one begins where the layer falls
};

/// "request=NAME,layer=NAME,step=NAME,blocks=NAME"; the error says what is wrong.
[[nodiscard]] Result<RecordForm> parse_columns(std::string_view text);

/// Imports files of that form; `facts` is what is known besides.
[[nodiscard]] Result<ImportSummary> import_stream(const RecordForm& form, const SourceFacts& facts,
                                                  std::span<const std::string> sources, const std::string& out,
                                                  const ImportOptions& options, const RunContext& context);

/// Whether the first row of a file that begins so has all of the names.
[[nodiscard]] bool first_row_has(std::string_view head, std::span<const std::string_view> names);

}  // namespace kvplace
