/// The cheapest residency paths of one layer's blocks, step by step: for each block the least cost so far of all paths
/// that now have it far, of those that have it near, and with copies that may span steps of those on which it arrives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

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
  void read_whole(const StepView& record, std::size_t begin, std::size_t end, std::int64_t units, const StepPrices& p);
  void read_one(BlockId id, std::int64_t hit, std::int64_t miss, std::int64_t enter);
  void end_requests(std::uint32_t step);
  void append(std::uint32_t id, std::int64_t new_kv, const StepPrices& p);
  void move(std::size_t begin, std::size_t end, std::int64_t units, const Moves& moves);

  [[nodiscard]] std::int64_t units_of(BlockId id) const {
    return id.value() < experts_ ? costs_.expert_units() : page_units_;
  }
  [[nodiscard]] std::int64_t units_read(const StepView& record, std::size_t i) const;

  const PathCosts& costs_;
  std::uint32_t layer_;
  std::int64_t page_units_;
  std::uint32_t experts_;
  const ServedRequests* served_;   ///< null if requests are alike
  std::uint64_t context_tokens_;   ///< the prompt's and those decoded before the step, if requests are alike
  std::uint32_t end_;              ///< of the ids that exist
  std::vector<std::int64_t> far_;  ///< ticks, by id
  std::vector<std::int64_t> near_;
  std::vector<std::int64_t> arriving_;  ///< empty if copies end in their step
  std::vector<std::uint8_t> exists_;
  Int128 ended_ticks_ = 0;  ///< of blocks that are gone with their requests
};

}  // namespace kvplace
