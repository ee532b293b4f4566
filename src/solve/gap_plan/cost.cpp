#include "solve/gap_plan/cost.h"

#include "base/parallel.h"

namespace kvplace {

PlanCost::PlanCost(const Instance& instance)
    : instance_(&instance),
      step_groups_(&instance.groups()),
      exclusive_(instance.options().mode == Mode::kExclusive),
      batch_(instance.options().batch),
      block_(instance.mean_kv_block_bytes() * batch_),
      groups_(instance.groups().num_groups()) {
  split_ = !exclusive_ && instance.options().mirrored_reads == MirroredReads::kSplit;
}

Result<PlanCost> PlanCost::make(const TraceReader& trace, const Instance& instance, const RunContext& context) {
  PlanCost cost(instance);
  const auto count = [&](std::size_t chunk) -> Status {
    if (context.stop_requested()) {
      return interrupted("stopped before there was a plan");
    }
    KVPLACE_ASSIGN(segment, trace.chunk(chunk, ChunkParts::kWithoutRankings));
    for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
      for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
        const StepView record = segment.view(step, layer);
        Group& group = cost.groups_[cost.group_of(step * segment.layers() + layer)];
        group.reads += static_cast<std::uint32_t>(record.reads.size());
        const StepTraffic traffic = instance.traffic(record);
        group.appended += static_cast<std::uint32_t>(traffic.num_new_kv);
        group.new_kv += traffic.new_kv;
        group.by_rule += static_cast<std::uint32_t>(traffic.num_reads_appended);
      }
    }
    return {};
  };
  KVPLACE_TRY(run_parallel(trace.num_chunks(), context.threads, count));
  for (std::uint32_t group = 0; group < cost.num_groups(); ++group) {
    cost.groups_[group].allowance = cost.find_allowance(group);
  }
  return cost;
}

double PlanCost::time(std::uint32_t group, const GroupCounts& counts) const {
  const StepTime& step_time = instance_->step_time();
  const std::uint32_t layers = step_groups_->layers_per_group();
  const Loads sum = loads(group, counts);
  if (!split_) {
    return step_time(sum, layers).value();
  }
  return split_time(step_time, sum, mirrored(group, counts), layers);
}

MovableBytes PlanCost::mirrored(std::uint32_t group, const GroupCounts& counts) const {
  const Group& g = groups_[group];
  return MovableBytes{block_, batch_} * (std::int64_t{g.reads} - g.by_rule - counts.misses);
}

Loads PlanCost::loads(std::uint32_t group, const GroupCounts& counts) const {
  const Group& g = groups_[group];
  Loads sum = instance_->fixed_loads(GroupIndex(group));
  const auto add = [&sum, this](Transfer transfer, std::int64_t count, Bytes each) {
    sum.add(transfer, each * count, count * batch_);
  };
  add(Transfer::kReadNear, std::int64_t{g.reads} - counts.misses, block_);
  add(Transfer::kReadFar, counts.misses, block_);
  add(Transfer::kPromote, counts.prefetches, block_);
  add(Transfer::kPromotePassive, counts.promotions, block_);
  sum.add(Transfer::kWriteNear, g.new_kv * batch_, g.appended * batch_);
  if (exclusive_) {
    add(Transfer::kDemote, std::int64_t{counts.prefetches} + counts.promotions, block_);
  } else {
    sum.add(Transfer::kWriteFar, g.new_kv * batch_, g.appended * batch_);
  }
  return sum;
}

double PlanCost::far_read_time() const { return (block_ / instance_->step_time().far_read_bandwidth()).value(); }

std::uint32_t PlanCost::find_allowance(std::uint32_t group) const {
  // The time is convex in the misses.
  const double enough = 0.5 * far_read_time();
  const auto hidden = [&](std::uint32_t n) {
    const auto misses = static_cast<std::int32_t>(n);
    return time(group, {misses, 0, 0}) - time(group, {misses - 1, 0, 0}) < enough;
  };
  std::uint32_t low = 0;
  std::uint32_t high = groups_[group].reads - groups_[group].by_rule + 1;
  while (low + 1 < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    (hidden(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace kvplace
