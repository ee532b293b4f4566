#include "trace/segment_stream.h"

#include <algorithm>
#include <utility>

#include "base/parallel.h"

namespace kvplace {

Status SegmentStream::start(std::string_view what) {
  if (context_.progress != nullptr) {
    context_.progress->start(what, trace_.totals().reads, "reads");
  }
  return fill();
}

Status SegmentStream::run(std::size_t count, const std::function<Status(std::size_t)>& task) {
  std::optional<Segment> ahead;
  const std::size_t fetches = next_chunk_ < trace_.num_chunks() ? 1 : 0;
  KVPLACE_TRY(run_parallel(fetches + count, context_.threads, [&](std::size_t i) -> Status {
    if (i < fetches) {
      KVPLACE_ASSIGN(segment, decode(next_chunk_));
      ahead = std::move(segment);
      return {};
    }
    return task(i - fetches);
  }));
  if (ahead) {
    push(std::move(*ahead));
  }
  return {};
}

Status SegmentStream::next() {
  done_ += segment().num_reads();
  window_.pop();
  ++chunk_;
  if (context_.progress != nullptr) {
    context_.progress->update(done_);
  }
  return fill();
}

void SegmentStream::finish() {
  if (context_.progress != nullptr) {
    context_.progress->finish();
  }
}

Result<Segment> SegmentStream::decode(std::size_t chunk) const {
  KVPLACE_ASSIGN(segment, trace_.chunk(chunk, options_.parts));
  if (options_.next_reads != nullptr) {
    KVPLACE_TRY(options_.next_reads->attach(chunk, segment));
  }
  return segment;
}

/// What is wanted of the window and was not decoded beside the work: its first segment, and those within the horizon.
Status SegmentStream::fill() {
  const auto lacks = [this] {
    return window_.empty() || window_.end_step() < std::uint64_t{segment().end_step()} + options_.horizon;
  };
  while (next_chunk_ < trace_.num_chunks() && lacks()) {
    KVPLACE_ASSIGN(segment, decode(next_chunk_));
    push(std::move(segment));
  }
  return {};
}

}  // namespace kvplace
