/// The cheapest residency paths of one layer's blocks, step by step: the least cost so far of all paths that now have a
/// block far, of all blocks together, and for each block by how much the least of those that have it near costs more;
/// with copies that may span steps also of those on which it arrives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bound/dispatch/move_kernel.h"
#include "bound/group_value.h"
#include "bound/path_costs.h"
#include "kvplace/trace/trace.h"

namespace kvplace {

/// All costs stay below 2^63 if check_prices() found nothing wrong.
class LayerPaths {
 public:
  /// The blocks before the first decode step. `costs` must outlive it.
  LayerPaths(const PathCosts& costs, const BlockLayout& layout, std::uint32_t layer);

  /// What all blocks may do in steps in which the layer itself reads and writes nothing.
  void move(const Moves& moves);

  /// A step of this layer; `after`: its moves and those of all steps up to the layer's next one. Gives its loads.
  /// REQUIRES: ids are below blocks_per_layer.
  [[nodiscard]] Result<StepLoads> step(const StepView& record, const Moves& after);

  /// After the last step: the cheapest path of every block.
  [[nodiscard]] Int128 ticks() const;

 private:
  void start_recent();
  void read(const StepView& record, std::size_t begin, std::size_t end, const StepPrices& p, StepLoads& loads);
  void read_alike(std::span<const BlockId> ids, std::int64_t units, std::int64_t rest, const StepPrices& p);
  void end_requests(std::uint32_t step);
  void append(std::uint32_t id, std::int64_t new_kv, const StepPrices& p);
  void move(std::size_t begin, std::size_t end, std::int64_t units, const Moves& moves);

  [[nodiscard]] std::int64_t units_of(BlockId id) const {
    return id.value() < experts_ ? costs_.expert_units() : page_units_;
  }
  [[nodiscard]] std::int64_t largest_units() const { return std::max(page_units_, costs_.expert_units()); }
  [[nodiscard]] std::int64_t units_read(const StepView& record, std::size_t i) const;

  const PathCosts& costs_;
  std::uint32_t layer_;
  std::int64_t page_units_;
  std::uint32_t experts_;
  const ServedRequests* served_;  ///< null if requests are alike
  std::uint64_t context_tokens_;  ///< the prompt's and those decoded before the step, if requests are alike
  MoveKernel<std::int64_t> move_blocks_;
  std::uint32_t end_;                   ///< of the ids that exist
  Int128 far_ticks_ = 0;                ///< of paths that have a block far, all blocks together
  std::vector<std::int64_t> near_;      ///< ticks beyond those, by id; not below 0 where there is no block
  std::vector<std::int64_t> arriving_;  ///< empty if copies end in their step
  std::vector<std::uint8_t> exists_;
  std::int64_t lowest_ = 0;  ///< that no value of near_ and arriving_ is below
};

}  // namespace kvplace
