/// A pass over a trace in order: beside the work on the chunk at hand the next one is decoded. The only such loop.
///
///     SegmentStream stream(trace, context);
///     KVPLACE_TRY(stream.start("measuring"));
///     while (!stream.at_end()) {
///       KVPLACE_TRY(stream.run(tasks, [&](std::size_t task) { return work(stream.segment(), task); }));
///       KVPLACE_TRY(stream.next());
///     }
///     stream.finish();
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "kvplace/base/run_context.h"
#include "kvplace/trace/next_reads.h"
#include "trace/segment_window.h"

namespace kvplace {

struct StreamOptions {
  ChunkParts parts = ChunkParts::kAll;
  const NextReads* next_reads = nullptr;  ///< attached to all segments; may be null
  std::uint32_t horizon = 0;              ///< decode steps behind the segment at hand that window() holds as well
};

/// Shows progress in reads. Memory: two chunks, and what the horizon holds.
class SegmentStream {
 public:
  SegmentStream(const TraceReader& trace, const RunContext& context, const StreamOptions& options = {})
      : trace_(trace), context_(context), options_(options) {}

  /// `what`: for progress.
  [[nodiscard]] Status start(std::string_view what);
  [[nodiscard]] bool at_end() const { return window_.empty(); }
  [[nodiscard]] const Segment& segment() const { return window_.front(); }
  [[nodiscard]] std::size_t chunk() const { return chunk_; }
  /// The segment at hand and those behind it.
  [[nodiscard]] const SegmentWindow& window() const { return window_; }
  /// task(0) ... task(count - 1) in parallel, and beside them the decoding.
  [[nodiscard]] Status run(std::size_t count, const std::function<Status(std::size_t)>& task);
  [[nodiscard]] Status next();
  void finish();

 private:
  [[nodiscard]] Result<Segment> decode(std::size_t chunk) const;
  [[nodiscard]] Status fill();
  void push(Segment segment) {
    window_.push(std::move(segment));
    ++next_chunk_;
  }

  const TraceReader& trace_;
  const RunContext& context_;
  StreamOptions options_;
  SegmentWindow window_;
  std::size_t chunk_ = 0;       // of the segment at hand
  std::size_t next_chunk_ = 0;  // behind the window
  std::uint64_t done_ = 0;      // reads
};

/// Calls `visit(record, step, first_read)` in order: a step's number is t * layers + l, its reads begin at `first_read`
/// of the segment's.
template <class Visit>
void for_each_record(const Segment& segment, const Visit& visit) {
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
