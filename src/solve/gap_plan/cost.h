/// What a plan costs: the time of each cell (step, or decode step with a barrier per token) from three counts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/instance/instance.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// What a plan decides about a cell.
struct CellCounts {
  std::int32_t misses = 0;
  std::int32_t prefetches = 0;  ///< blocks promoted that the cell did not read from far
  std::int32_t promotions = 0;  ///< misses promoted

  friend CellCounts operator+(CellCounts a, const CellCounts& b) {
    return {a.misses + b.misses, a.prefetches + b.prefetches, a.promotions + b.promotions};
  }
  bool operator==(const CellCounts&) const = default;
};

/// The fixed traffic of every cell, and the time any counts make of it. Blocks of one size. In exclusive mode an
/// estimate: new KV is written to near, and what enters near makes another block leave in the same cell.
class PlanCost {
 public:
  /// One pass over the trace, its chunks in parallel.
  [[nodiscard]] static Result<PlanCost> make(const TraceReader& trace, const Instance& instance,
                                             const RunContext& context);

  [[nodiscard]] std::uint32_t num_cells() const { return static_cast<std::uint32_t>(cells_.size()); }
  [[nodiscard]] std::uint32_t num_steps() const { return num_cells() * steps_per_cell_; }
  /// A step is t * layers + l here.
  [[nodiscard]] std::uint32_t cell_of(std::uint32_t step) const {
    return steps_per_cell_ == 1 ? step : step / steps_per_cell_;
  }
  [[nodiscard]] bool ends_cell(std::uint32_t step) const {
    return steps_per_cell_ == 1 || (step + 1) % steps_per_cell_ == 0;
  }
  /// Seconds, as the replay counts them but for the rounding of split reads to whole bytes.
  [[nodiscard]] double time(std::uint32_t cell, const CellCounts& counts) const;
  [[nodiscard]] std::uint32_t first_step_of(std::uint32_t cell) const { return cell * steps_per_cell_; }
  [[nodiscard]] std::uint32_t last_step_of(std::uint32_t cell) const { return (cell + 1) * steps_per_cell_ - 1; }
  /// Of one block, in seconds: what a miss costs where far reads bind.
  [[nodiscard]] double far_read_time() const;
  /// Of a cell, those that either side may serve.
  [[nodiscard]] std::uint32_t movable_reads(std::uint32_t cell) const {
    return cells_[cell].reads - cells_[cell].by_rule;
  }
  /// Misses that cost less than half of what they cost a cell bound by far reads: near traffic hides them.
  [[nodiscard]] std::uint32_t allowance(std::uint32_t cell) const { return cells_[cell].allowance; }

 private:
  struct Cell {
    std::uint32_t reads = 0;      ///< at most 2^32 reads in a decode step
    std::uint32_t by_rule = 0;    ///< of them, near by rule
    std::uint32_t appended = 0;   ///< blocks
    std::uint32_t allowance = 0;  ///< see allowance()
  };

  explicit PlanCost(const Instance& instance);
  [[nodiscard]] std::uint32_t find_allowance(std::uint32_t cell) const;

  const Instance* instance_;
  std::uint32_t steps_per_cell_;
  bool split_;
  bool exclusive_;
  std::int64_t block_;  ///< bytes, of the whole batch
  std::int64_t new_kv_;
  std::vector<Cell> cells_;
};

}  // namespace kvplace
