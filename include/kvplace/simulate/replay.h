/// Replay: what a policy or a stored schedule costs on an instance.
///
/// One pass over the trace serves all jobs. In all builds the replay itself checks every decision: blocks exist, none
/// is promoted twice, occupancy stays within capacity after every step, every read is served exactly once.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/instance/instance.h"
#include "kvplace/policy/registry.h"
#include "kvplace/solve/plan.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// What a policy did in one step, as it happens; see ScheduleWriter.
class DecisionObserver {
 public:
  virtual ~DecisionObserver() = default;
  virtual Status on_start(std::span<const BlockIndex> initial_near) = 0;
  virtual Status on_step(StepIndex step, LayerIndex layer, const Decision& decision) = 0;
};

/// Decisions made elsewhere, to be replayed: see ScheduleReader.
class DecisionSource {
 public:
  virtual ~DecisionSource() = default;
  [[nodiscard]] virtual Result<std::vector<BlockIndex>> initial_near() = 0;
  /// Called once per step, in order.
  [[nodiscard]] virtual Status next(StepIndex step, LayerIndex layer, Decision& decision) = 0;
};

/// Sees every segment in order, in the same pass as the jobs; rankings only if one of those wants them.
class TraceVisitor {
 public:
  virtual ~TraceVisitor() = default;
  virtual Status visit(const Segment& segment) = 0;
};

/// One policy, or one stored schedule, on one instance.
struct ReplayJob {
  const Instance* instance = nullptr;  ///< of the trace that is replayed; not owned
  PolicySpec policy;                   ///< one that is searched for or planned runs afterwards, with passes of its own
  DecisionSource* schedule = nullptr;  ///< if set, `policy` is only a label; not owned
  DecisionObserver* observer = nullptr;  ///< not owned; may be null
};

/// A replay tells how it went in no more stretches of decode steps.
inline constexpr std::uint32_t kMostStretches = 64;

/// How many decode steps a stretch has, of so many.
[[nodiscard]] constexpr std::uint32_t steps_of_stretch(std::uint32_t steps) {
  return steps < kMostStretches ? 1 : (steps + kMostStretches - 1) / kMostStretches;
}

/// Counts are of the trace's request; bytes and times of the whole batch.
struct ReplayResult {
  PolicySpec policy;     ///< what ran; of a search policy, the member of its family that was found
  std::string found_by;  ///< the name that was asked for
  Information information = Information::kCausal;
  std::uint32_t steps = 0;             ///< decode steps replayed: all, or fewer after an interrupt; 0: it never ran
  bool complete = false;               ///< false: interrupted, or a search that was and gives the best it had found
  std::optional<PlanStatus> planning;  ///< of a planned policy only: how its planning ended
  Seconds total;
  double tokens_per_second = 0;  ///< of the whole batch
  /// Of a served batch: the times within which half and 99 % of all tokens are decoded.
  struct Quantiles {
    Seconds p50;
    Seconds p99;
  };
  std::optional<Quantiles> token_times;
  std::uint64_t reads = 0;
  std::uint64_t near_reads = 0;
  std::uint64_t far_reads = 0;
  std::vector<std::uint64_t> far_reads_by_layer;
  std::uint64_t promotions = 0;  ///< blocks issued to be copied from far to near; newborn ones that stay near are not
  std::uint64_t evictions = 0;   ///< blocks that left near
  std::uint64_t demotions = 0;   ///< of them, those that had to be written to far (exclusive mode)
  std::array<std::int64_t, kNumChannels> channel_bytes{};
  std::array<std::int64_t, kNumChannels> channel_transfers{};  ///< in how many transfers they came
  std::int64_t read_bytes = 0;                                 ///< weights and KV read, from both sides
  std::array<std::uint64_t, kNumChannels> bottleneck_steps{};  ///< steps in which each channel took longest
  /// The decode steps in stretches of like length, at most kMostStretches; the last may be shorter.
  struct Stretch {
    Seconds time;
    std::array<std::uint64_t, kNumChannels> bottleneck_steps{};
  };
  std::vector<Stretch> over_time;
  std::uint64_t peak_near_blocks = 0;     ///< those in flight included
  double aggregate_bytes_per_second = 0;  ///< read_bytes / total
  double aggregate_utilization = 0;       ///< of near bandwidth + the far side's, see interface
};

/// Errors, as replay() has them, if the policy needs rankings that the trace has not, or another start.
[[nodiscard]] Status check_fits(const PolicySpec& policy, const TraceReader& trace, const Instance& instance);

/// Runs all jobs over the trace. Deterministic for any number of threads. Memory: O(blocks) per job + a window of
/// chunks. After an interrupt the results cover the decode steps replayed so far (ReplayResult::steps). Visitors are
/// not owned.
[[nodiscard]] Result<std::vector<ReplayResult>> replay(const TraceReader& trace, std::span<const ReplayJob> jobs,
                                                       const RunContext& context,
                                                       std::span<TraceVisitor* const> visitors = {});

}  // namespace kvplace
