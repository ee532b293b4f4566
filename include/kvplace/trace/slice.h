/// A part of a trace as a trace of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/trace/reader.h"
#include "kvplace/trace/writer.h"

namespace kvplace {

/// From `first` up to, not including, `end`.
struct Stretch {
  std::uint32_t first = 0;
  std::uint32_t end = 0;
};

struct SliceOptions {
  std::optional<Stretch> steps;   ///< decode steps; default: all
  std::optional<Stretch> layers;  ///< default: all
  TraceWriterOptions writer;
};

/// Writes the records of some decode steps and layers of `trace` to `out`; both are counted from 0 there. Blocks keep
/// their ids: what was appended before the first step kept belongs to the prompt, which grows by a token for every
/// append of a page's request in one layer, or to the end of the last page if that says less. Errors if a stretch is
/// empty or outside the trace. Memory O(chunk + blocks).
[[nodiscard]] Result<TraceTotals> slice_trace(const TraceReader& trace, const std::string& out,
                                              const SliceOptions& options, const RunContext& context);

}  // namespace kvplace
