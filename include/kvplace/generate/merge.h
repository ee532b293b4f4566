/// A served batch made of the traces of single requests: they come, wait for room, run side by side and end
/// (formulation, "Requests"). What a prompt's prefill takes is not modelled: its pages are there when it begins to
/// decode.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/trace/request_log.h"
#include "kvplace/trace/trace.h"
#include "kvplace/trace/writer.h"

namespace kvplace {

/// When requests come.
struct Arrivals {
  std::optional<double> poisson_per_second;  ///< at random, so many in the mean
  std::optional<RequestLog> log;             ///< as they came there; else, without a rate, all at once
};

/// "poisson:RATE", requests per second; else the path of a request log; empty: all at once.
[[nodiscard]] Result<Arrivals> parse_arrivals(const std::string& text);

struct MergeOptions {
  Arrivals arrivals;
  std::optional<std::uint32_t> requests;  ///< default: as many as the log or the traces have
  std::uint32_t slots = 8;                ///< that run at once, at most
  /// Tokens of KV that there is room for, near and far together; a request is admitted if it fits to its end. Default:
  /// as many as the slots ask for.
  std::optional<std::uint64_t> kv_tokens;
  Seconds step_time = Seconds(0.02);  ///< a decode step's, by which arrivals become decode steps
  std::uint64_t seed = 1;             ///< of random arrivals
  std::string source;                 ///< kept in the metadata; default: how many requests and slots
  TraceWriterOptions writer;
};

struct MergeSummary {
  TraceTotals totals;
  TraceMeta meta;
  std::uint32_t cut = 0;          ///< requests that ask for more tokens than their trace has, and end with it
  double mean_wait_steps = 0;     ///< from arrival to admission
  double mean_running = 0;        ///< over decode steps
  std::uint64_t idle_steps = 0;   ///< in which nothing would have run; left out
  bool dropped_rankings = false;  ///< the traces had some, which a batch of several texts has not
};

/// Merges `traces` into `out`. Without a log each request takes the next trace, over and over; with one that whose
/// prompt is nearest in length to the logged one's, and it decodes as many tokens as the log says, or as the trace has.
/// A trace with several requests counts as so many traces. Requests are admitted in order of arrival, at the beginning
/// of a decode step. Experts of all that run are read together.
/// Errors: traces that differ in layers, block tokens, experts or sizes; steps of several tokens; a trace whose
/// appended blocks are not those of its text; a request that never fits. Nothing is written then.
[[nodiscard]] Result<MergeSummary> merge_traces(std::span<const std::string> traces, const std::string& out,
                                                const MergeOptions& options, const RunContext& context);

}  // namespace kvplace
