/// Streaming writer of .kvt traces.
#pragma once

#include <memory>
#include <string>

#include "kvplace/base/result.h"
#include "kvplace/trace/trace.h"

namespace kvplace {

/// Affects size and speed of the file, never what it means.
struct TraceWriterOptions {
  int zstd_level = 3;                              ///< 1 to 19
  std::size_t chunk_bytes = std::size_t{1} << 20;  ///< a chunk is closed once it holds this much before compression
};

/// Writes steps in order, t-major then by layer. The file appears under its name only in finish().
class TraceWriter {
 public:
  [[nodiscard]] static Result<TraceWriter> create(const std::string& path, const TraceMeta& meta,
                                                  const TraceWriterOptions& options = {});
  TraceWriter(TraceWriter&&) noexcept;
  TraceWriter& operator=(TraceWriter&&) noexcept;
  ~TraceWriter();

  /// The next record. Errors if it is out of order, if ids are not ascending, or if a block is read that does not exist
  /// yet (neither in the prompt nor appended so far).
  [[nodiscard]] Status add(const StepView& record);

  /// Writes the index and the totals, and renames the file into place. Errors if a decode step is incomplete.
  [[nodiscard]] Result<TraceTotals> finish();

  [[nodiscard]] const TraceMeta& meta() const;

 private:
  struct State;
  explicit TraceWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kvplace
