/// Writes synthetic traces.
#pragma once

#include <string>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/generate/config.h"
#include "kvplace/trace/trace.h"
#include "kvplace/trace/writer.h"

namespace kvplace {

/// Writes the trace that `config` describes to `out`. The bytes depend on the settings (the seed among them) and the
/// writer's options only, not on the number of threads. Memory O(layers x blocks + a few decode steps).
/// Errors if the settings are invalid or the file cannot be written.
[[nodiscard]] Result<TraceTotals> generate_trace(const GeneratorConfig& config, const std::string& out,
                                                 const TraceWriterOptions& options, const RunContext& context);

}  // namespace kvplace
