/// Streaming writer of .kvt traces.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/trace/trace.h"

namespace kvplace {

/// Affects size and speed of the file, never what it means.
struct TraceWriterOptions {
  int zstd_level = 3;                              ///< 1 to 19
  std::size_t chunk_bytes = std::size_t{1} << 20;  ///< a chunk is closed once it holds this much before compression
  /// Characters left free in the metadata for what is known only at the end: measurements, experts of the prompt.
  std::uint32_t measurement_room = 0;
};

/// What is left of a trace that was not finished.
struct PartialTrace {
  std::string path;         ///< empty if there is no file
  std::uint32_t steps = 0;  ///< decode steps in it
};

/// Writes steps in order, t-major then by layer. The file appears under its name only in finish().
class TraceWriter {
 public:
  [[nodiscard]] static Result<TraceWriter> create(const std::string& path, const TraceMeta& meta,
                                                  const TraceWriterOptions& options = {});
  TraceWriter(TraceWriter&&) noexcept;
  TraceWriter& operator=(TraceWriter&&) noexcept;
  ~TraceWriter();

  /// The next record. Of a served batch (BlockLayout::served) the table says what is appended, and what the record says
  /// of that and of tokens is not looked at. Errors if it is out of order, if ids are not ascending, or if a block is
  /// read that does not exist yet (neither in the prompt nor appended so far) or, of a served batch, is of a request
  /// that does not run.
  [[nodiscard]] Status add(const StepView& record);

  /// Replaces the metadata's measurements. Errors if they need more than the room that was left for them.
  [[nodiscard]] Status set_measurements(const std::map<std::string, double>& measurements);

  /// Replaces what the metadata says of the experts that the prompt used, with the same room.
  [[nodiscard]] Status set_prompt_experts(const std::vector<std::vector<std::uint32_t>>& prompt_experts);

  /// Writes the index and the totals, and renames the file into place. Errors if a decode step is incomplete.
  [[nodiscard]] Result<TraceTotals> finish();

  /// Instead of finish(), for after an error or an interrupt: leaves the chunks that could be written as a truncated
  /// trace, whose whole chunks a reader recovers; under the trace's name, or with ".partial" (".partial2", ...) behind
  /// it if a file of that name is there already. Nothing is left if there is no whole chunk. The writer must not be
  /// used afterwards.
  [[nodiscard]] Result<PartialTrace> keep_partial();

  [[nodiscard]] const TraceMeta& meta() const;

 private:
  struct State;
  explicit TraceWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kvplace
