/// When each block read is read next: what an oracle policy knows.
#pragma once

#include <memory>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// Which reads count: all, or all but those of a block appended to in the same step, which are near by rule.
enum class CountedReads : std::uint8_t { kAll, kNotNearByRule };

/// Next reads of a whole trace, found in one pass from its end and kept compressed in a temporary file (about a byte
/// per read before compression), so that memory stays at O(blocks + one chunk).
class NextReads {
 public:
  [[nodiscard]] static Result<NextReads> build(const TraceReader& trace, const RunContext& context,
                                               CountedReads counted = CountedReads::kAll);
  NextReads(NextReads&&) noexcept;
  NextReads& operator=(NextReads&&) noexcept;
  ~NextReads();

  /// Adds next reads to `segment`, which is chunk `index` of the trace. Thread safe.
  [[nodiscard]] Status attach(std::size_t index, Segment& segment) const;

  /// The first decode step that reads each block, [layers * blocks_per_layer], kNeverRead if none does.
  [[nodiscard]] const std::vector<std::uint32_t>& first_reads() const;

 private:
  struct State;
  explicit NextReads(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kvplace
