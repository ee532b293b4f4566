/// Import of files that hold several requests: each becomes a trace, and all of them a served batch in which they begin
/// together (generate/merge.h).
#pragma once

#include <span>
#include <string>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/trace/formats.h"

namespace kvplace {

/// What format.import_trace() makes of one request, named or alone; of several that are told apart by name, the batch.
/// Traces of single requests lie beside `out` while it is made.
[[nodiscard]] Result<ImportSummary> import_requests(const Format& format, std::span<const std::string> sources,
                                                    const std::string& out, const ImportOptions& options,
                                                    const RunContext& context);

}  // namespace kvplace
