/// What a plan costs: the time of each group of steps from three counts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/instance/instance.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// What a plan decides about a group.
struct GroupCounts {
  std::int32_t misses = 0;
  std::int32_t prefetches = 0;  ///< blocks promoted that the group did not read from far
  std::int32_t promotions = 0;  ///< misses promoted

  friend GroupCounts operator+(GroupCounts a, const GroupCounts& b) {
    return {a.misses + b.misses, a.prefetches + b.prefetches, a.promotions + b.promotions};
  }
  bool operator==(const GroupCounts&) const = default;
};

/// The fixed traffic of every group, and the time any counts make of it. Blocks of one size. In exclusive mode an
/// estimate: new KV is written to near, and what enters near makes another block leave in the same group.
class PlanCost {
 public:
  /// One pass over the trace, its chunks in parallel.
  [[nodiscard]] static Result<PlanCost> make(const TraceReader& trace, const Instance& instance,
                                             const RunContext& context);

  [[nodiscard]] std::uint32_t num_groups() const { return static_cast<std::uint32_t>(groups_.size()); }
  [[nodiscard]] std::uint32_t num_steps() const { return static_cast<std::uint32_t>(step_groups_->num_steps()); }
  /// A step is t * layers + l here.
  [[nodiscard]] std::uint32_t group_of(std::uint32_t step) const {
    return step_groups_->group_of(FlatStep(step)).value();
  }
  [[nodiscard]] bool ends_group(std::uint32_t step) const { return step == last_step_of(group_of(step)); }
  /// As the replay adds them up, in exclusive mode as far as the estimate goes; before reads are split.
  [[nodiscard]] Loads loads(std::uint32_t group, const GroupCounts& counts) const;
  /// Reads from near that far could serve as well.
  [[nodiscard]] MovableBytes mirrored(std::uint32_t group, const GroupCounts& counts) const;
  /// Seconds, as the replay counts them but for the rounding of split reads to whole bytes.
  [[nodiscard]] double time(std::uint32_t group, const GroupCounts& counts) const;
  [[nodiscard]] std::uint32_t first_step_of(std::uint32_t group) const {
    return step_groups_->first_of(GroupIndex(group)).value();
  }
  [[nodiscard]] std::uint32_t last_step_of(std::uint32_t group) const {
    return step_groups_->last_of(GroupIndex(group)).value();
  }
  /// Of one block, in seconds: what a miss costs where far reads bind.
  [[nodiscard]] double far_read_time() const;
  /// Of a group, those that either side may serve.
  [[nodiscard]] std::uint32_t movable_reads(std::uint32_t group) const {
    return groups_[group].reads - groups_[group].by_rule;
  }
  /// Misses that cost less than half of what they cost a group bound by far reads: near traffic hides them.
  [[nodiscard]] std::uint32_t allowance(std::uint32_t group) const { return groups_[group].allowance; }

 private:
  struct Group {
    std::uint32_t reads = 0;      ///< at most 2^32 reads in a decode step
    std::uint32_t by_rule = 0;    ///< of them, near by rule
    std::uint32_t appended = 0;   ///< blocks, if new KV counts
    std::uint32_t allowance = 0;  ///< see allowance()
    Bytes new_kv;                 ///< of one request
  };

  explicit PlanCost(const Instance& instance);
  [[nodiscard]] std::uint32_t find_allowance(std::uint32_t group) const;

  const Instance* instance_;
  const StepGroups* step_groups_;
  bool exclusive_;
  bool split_ = false;
  std::int64_t batch_;
  Bytes block_;  ///< of the whole batch
  std::vector<Group> groups_;
};

}  // namespace kvplace
