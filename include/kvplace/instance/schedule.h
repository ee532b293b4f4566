/// Stored schedules (.kvs): which blocks enter and leave near memory at the end of each step (docs/schedule_format.md).
/// With copies in the background: which promotions are issued, in their order; when they are complete follows.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/units.h"
#include "kvplace/instance/instance.h"

namespace kvplace {

/// What a schedule was made for; a replay on another trace, shape or mode, or under another migration rule, is refused.
struct ScheduleMeta {
  std::string trace_digest;
  std::uint32_t layers = 0;
  std::uint32_t steps = 0;
  std::uint32_t blocks_per_layer = 0;
  Mode mode = Mode::kInclusive;
  Copies copies = Copies::kStep;
  std::string made_by;  ///< policy or solver, for people
};

/// Of a schedule for `instance` on the trace of that digest.
[[nodiscard]] ScheduleMeta schedule_meta(const Instance& instance, std::string trace_digest, std::string made_by);

/// Streaming writer; the file appears under its name only in finish().
class ScheduleWriter {
 public:
  [[nodiscard]] static Result<ScheduleWriter> create(const std::string& path, const ScheduleMeta& meta);
  ScheduleWriter(ScheduleWriter&&) noexcept;
  ~ScheduleWriter();

  /// What is near at the first decode step; before the first add(), once.
  [[nodiscard]] Status start(std::span<const BlockIndex> initial_near);
  /// The next step, t-major then by layer. Orders within the spans do not matter, but for that of promotions if copies
  /// move in the background.
  [[nodiscard]] Status add(std::span<const BlockIndex> promote, std::span<const BlockIndex> evict);
  /// Errors if steps are missing.
  [[nodiscard]] Status finish();

 private:
  struct State;
  explicit ScheduleWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Streaming reader. Errors are of kind kRejected: a schedule that cannot be read proves nothing.
class ScheduleReader {
 public:
  [[nodiscard]] static Result<ScheduleReader> open(const std::string& path);
  ScheduleReader(ScheduleReader&&) noexcept;
  ~ScheduleReader();

  [[nodiscard]] const ScheduleMeta& meta() const;
  [[nodiscard]] const std::vector<BlockIndex>& initial_near() const;
  /// Appends the next step's blocks, those promoted in the order that is stored, those evicted ascending.
  [[nodiscard]] Status next(std::vector<BlockIndex>& promote, std::vector<BlockIndex>& evict);
  /// Rejects a file that goes on after its last step.
  [[nodiscard]] Status finish() const;

 private:
  struct State;
  explicit ScheduleReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kvplace
