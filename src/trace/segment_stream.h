/// A pass over a trace with its next reads, the next chunk decoded beside the work on the one at hand.
#pragma once

#include <optional>
#include <string_view>

#include "base/parallel.h"
#include "kvplace/trace/next_reads.h"

namespace kvplace {

/// Calls `visit(chunk, segment)` in order. `next_reads` may be null. Stops with an error if a stop is requested.
template <class Visit>
[[nodiscard]] Status for_each_segment(const TraceReader& trace, const NextReads* next_reads, const RunContext& context,
                                      std::string_view what, const Visit& visit) {
  const auto decode = [&](std::size_t chunk) -> Result<Segment> {
    KVPLACE_ASSIGN(segment, trace.chunk(chunk));
    if (next_reads != nullptr) {
      KVPLACE_TRY(next_reads->attach(chunk, segment));
    }
    return segment;
  };
  if (trace.num_chunks() == 0) {
    return {};
  }
  if (context.progress != nullptr) {
    context.progress->start(what, trace.totals().reads, "reads");
  }
  std::uint64_t done = 0;
  KVPLACE_ASSIGN(segment, decode(0));
  for (std::size_t chunk = 0; chunk < trace.num_chunks(); ++chunk) {
    if (context.stop_requested()) {
      return interrupted("stopped before there was a plan");
    }
    std::optional<Segment> ahead;
    const std::size_t fetches = chunk + 1 < trace.num_chunks() ? 1 : 0;
    KVPLACE_TRY(run_parallel(fetches + 1, context.threads, [&](std::size_t task) -> Status {
      if (task < fetches) {
        KVPLACE_ASSIGN(next, decode(chunk + 1));
        ahead = std::move(next);
        return {};
      }
      return visit(chunk, segment);
    }));
    done += segment.num_reads();
    if (context.progress != nullptr) {
      context.progress->update(done);
    }
    if (ahead) {
      segment = std::move(*ahead);
    }
  }
  if (context.progress != nullptr) {
    context.progress->finish();
  }
  return {};
}

/// Calls `visit(record, step, first_read)` in order: a step's number is t * layers + l, its reads begin at `first_read`
/// of the segment's.
template <class Visit>
void for_each_step(const Segment& segment, const Visit& visit) {
  std::size_t read = 0;
  for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
    for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
      const StepView record = segment.view(step, layer);
      visit(record, step * segment.layers() + layer, read);
      read += record.reads.size();
    }
  }
}

}  // namespace kvplace
