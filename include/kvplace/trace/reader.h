/// Reader of .kvt traces: chunk by chunk, from any chunk, from several threads at once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/trace/trace.h"

namespace kvplace {

struct TraceReaderOptions {
  /// Read the whole chunks of a file whose end is missing. The digest of such a trace is empty.
  bool recover = false;
  /// What the trace is called, if not by its path: one that stands for a file nobody named.
  std::string name = {};
};

/// Const methods may be called from several threads without synchronisation.
class TraceReader {
 public:
  [[nodiscard]] static Result<TraceReader> open(const std::string& path, const TraceReaderOptions& options = {});
  TraceReader(TraceReader&&) noexcept;
  TraceReader& operator=(TraceReader&&) noexcept;
  ~TraceReader();

  [[nodiscard]] const std::string& path() const;
  [[nodiscard]] const TraceMeta& meta() const;
  [[nodiscard]] const TraceTotals& totals() const;
  [[nodiscard]] std::size_t num_chunks() const;
  /// The chunk that holds a decode step. REQUIRES: step < totals().steps.
  [[nodiscard]] std::size_t chunk_of(StepIndex step) const;
  /// True if the file's end was missing and `recover` was asked for.
  [[nodiscard]] bool recovered() const;

  /// Decodes one chunk. Errors if it is damaged (docs/trace_format.md, "What a reader checks"). O(chunk) memory.
  [[nodiscard]] Result<Segment> chunk(std::size_t index, ChunkParts parts = ChunkParts::kAll) const;

  /// Recomputes the digest from all records and compares it with the stored one.
  [[nodiscard]] Status verify_digest() const;

 private:
  struct State;
  explicit TraceReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kvplace
