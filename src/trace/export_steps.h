/// What exporters share: the trace step by step, and refusals of what a format cannot hold.
#pragma once

#include <string>

#include "kvplace/base/result.h"
#include "kvplace/trace/reader.h"
#include "trace/loop_watch.h"

namespace kvplace {

/// Calls visit(segment, step) for every decode step, decoding chunk by chunk.
template <class Visit>
Status for_each_step(const TraceReader& trace, const char* what, const RunContext& context, Visit visit) {
  const std::uint32_t layers = trace.meta().layers;
  LoopWatch watch(context, what, std::uint64_t{trace.totals().steps} * layers, "rows");
  for (std::size_t i = 0; i < trace.num_chunks(); ++i) {
    KVPLACE_ASSIGN(segment, trace.chunk(i));
    for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
      KVPLACE_TRY(visit(segment, step));
      KVPLACE_TRY(watch.advance(layers));
    }
  }
  return {};
}

/// An error if requests come and go.
[[nodiscard]] inline Status refuse_served(const TraceReader& trace, const std::string& format) {
  if (trace.meta().layout.served != nullptr) {
    return bad_input(trace.path() + ": is a served batch, which " + format +
                     " cannot hold; export the traces that it was merged of");
  }
  return {};
}

/// An error unless all blocks are KV pages of one request.
[[nodiscard]] inline Status require_plain_pages(const TraceReader& trace, const std::string& format) {
  KVPLACE_TRY(refuse_served(trace, format));
  const BlockLayout& layout = trace.meta().layout;
  if (layout.experts > 0 || layout.requests > 1) {
    const std::string what = layout.experts > 0 ? "expert blocks" : std::to_string(layout.requests) + " requests";
    return bad_input(trace.path() + ": has " + what + ", which " + format + " cannot hold; export it as fang-moe-csv");
  }
  return {};
}

}  // namespace kvplace
