#include "solve/gap_plan/cost.h"

#include "base/parallel.h"
#include "solve/prices/split_time.h"

namespace kvplace {

PlanCost::PlanCost(const Instance& instance) : instance_(&instance) {
  const InstanceOptions& options = instance.options();
  const bool by_token = options.barrier == Barrier::kToken;
  steps_per_cell_ = by_token ? instance.layers() : 1;
  cells_.resize(std::size_t{instance.steps()} * (by_token ? 1 : instance.layers()));
  exclusive_ = options.mode == Mode::kExclusive;
  split_ = !exclusive_ && options.mirrored_reads == MirroredReads::kSplit;
  block_ = instance.kv_block_bytes().value() * options.batch;
  new_kv_ = instance.new_kv_bytes().value() * options.batch;
}

Result<PlanCost> PlanCost::make(const TraceReader& trace, const Instance& instance, const RunContext& context) {
  PlanCost cost(instance);
  const auto count = [&](std::size_t chunk) -> Status {
    if (context.stop_requested()) {
      return interrupted("stopped before there was a plan");
    }
    KVPLACE_ASSIGN(segment, trace.chunk(chunk));
    for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
      for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
        const StepView record = segment.view(step, layer);
        Cell& cell = cost.cells_[cost.cell_of(step * segment.layers() + layer)];
        cell.reads += static_cast<std::uint32_t>(record.reads.size());
        cell.appended += static_cast<std::uint32_t>(record.appended.size());
        for (const BlockId id : record.appended) {
          cell.by_rule += std::binary_search(record.reads.begin(), record.reads.end(), id) ? 1U : 0U;
        }
      }
    }
    return {};
  };
  KVPLACE_TRY(run_parallel(trace.num_chunks(), context.threads, count));
  for (std::uint32_t cell = 0; cell < cost.num_cells(); ++cell) {
    cost.cells_[cell].allowance = cost.find_allowance(cell);
  }
  return cost;
}

double PlanCost::time(std::uint32_t cell, const CellCounts& counts) const {
  const Cell& c = cells_[cell];
  const StepTime& step_time = instance_->step_time();
  Loads loads = instance_->weight_loads() * std::int64_t{steps_per_cell_};
  const std::int64_t entering = std::int64_t{counts.prefetches} + counts.promotions;
  const std::int64_t leaving = exclusive_ ? entering * block_ : 0;
  const std::int64_t to_far = exclusive_ ? leaving : c.appended * new_kv_;
  const std::int64_t far = (std::int64_t{counts.misses} + counts.prefetches) * block_;
  const auto on = [&loads](Channel channel) -> std::int64_t& { return loads.bytes[static_cast<std::size_t>(channel)]; };
  on(Channel::kNearMem) += (std::int64_t{c.reads} - counts.misses + entering) * block_ + leaving + c.appended * new_kv_;
  on(Channel::kFarLinkRead) += far;
  on(Channel::kFarLinkWrite) += to_far;
  on(Channel::kFarMem) += far + to_far;
  if (!split_) {
    return step_time(loads, steps_per_cell_).value();
  }
  const std::int64_t movable = (std::int64_t{c.reads} - c.by_rule - counts.misses) * block_;
  return split_time(step_time, loads, movable, steps_per_cell_);
}

double PlanCost::far_read_time() const { return (Bytes(block_) / instance_->step_time().far_read_bandwidth()).value(); }

std::uint32_t PlanCost::find_allowance(std::uint32_t cell) const {
  // The time is convex in the misses.
  const double enough = 0.5 * far_read_time();
  const auto hidden = [&](std::uint32_t n) {
    const auto misses = static_cast<std::int32_t>(n);
    return time(cell, {misses, 0, 0}) - time(cell, {misses - 1, 0, 0}) < enough;
  };
  std::uint32_t low = 0;
  std::uint32_t high = cells_[cell].reads - cells_[cell].by_rule + 1;
  while (low + 1 < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    (hidden(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace kvplace
