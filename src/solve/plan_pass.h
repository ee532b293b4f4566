/// A planner's pass over a trace.
#pragma once

#include <string_view>

#include "trace/segment_stream.h"

namespace kvplace {

/// Calls `visit(chunk, segment)` in order. `next_reads` may be null. Stops with an error if a stop is requested.
template <class Visit>
[[nodiscard]] Status plan_pass(const TraceReader& trace, const NextReads* next_reads, const RunContext& context,
                               std::string_view what, const Visit& visit) {
  SegmentStream stream(trace, context, {ChunkParts::kWithoutRankings, next_reads, 0});
  KVPLACE_TRY(stream.start(what));
  while (!stream.at_end()) {
    if (context.stop_requested()) {
      return interrupted("stopped before there was a plan");
    }
    KVPLACE_TRY(stream.run(1, [&](std::size_t) -> Status { return visit(stream.chunk(), stream.segment()); }));
    KVPLACE_TRY(stream.next());
  }
  stream.finish();
  return {};
}

}  // namespace kvplace
