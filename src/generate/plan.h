/// A trace to be generated, layer by layer, whatever it was made of; and the run of it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "generate/block_process.h"
#include "generate/swap_process.h"
#include "kvplace/base/run_context.h"
#include "kvplace/generate/config.h"
#include "kvplace/trace/trace.h"
#include "kvplace/trace/writer.h"

namespace kvplace::generate {

struct LayerPlan {
  ProcessModel pages;    ///< not used if the plan has no pages
  ProcessModel experts;  ///< not used if the layout has no experts
};

struct TracePlan {
  TraceMeta meta;
  std::uint32_t steps = 0;
  std::uint32_t tokens_per_step = 1;
  std::uint64_t seed = 0;
  std::uint32_t ranking_depth = 0;
  bool has_pages = true;
  std::optional<GeneratorConfig::Swap> swap;  ///< if it is there, pages are read by it and the budget alone
  std::vector<LayerPlan> layers;
};

/// The reads of one layer of a plan, token by token. REQUIRES: the plan outlives it.
class LayerStream {
 public:
  LayerStream(const TracePlan& plan, std::uint32_t layer);

  /// Appends what the next token's record holds.
  void append_next(std::vector<BlockId>& reads, std::vector<BlockId>& ranking, std::vector<BlockId>& appended);
  /// The next token's record; its spans are valid until the next call.
  [[nodiscard]] StepView next();

 private:
  const TracePlan& plan_;
  LayerIndex layer_;
  std::uint32_t step_ = 0;
  std::vector<BlockProcess> processes_;  ///< experts, pages; those there are
  std::optional<SwapProcess> swap_;      ///< pages
  std::vector<BlockId> reads_;
  std::vector<BlockId> ranking_;
  std::vector<BlockId> appended_;
};

/// REQUIRES: config is valid.
[[nodiscard]] TracePlan make_plan(const GeneratorConfig& config);

/// Runs the plan and writes it to `out`; see generate_trace.
[[nodiscard]] Result<TraceTotals> write_plan(const TracePlan& plan, const std::string& out,
                                             const TraceWriterOptions& options, const RunContext& context);

}  // namespace kvplace::generate
