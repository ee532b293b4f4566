/// One policy's run of a trace with real pages.
#pragma once

#include <memory>
#include <vector>

#include "kvplace/runtime/run.h"
#include "runtime/cache/policy_placement.h"
#include "runtime/cache/tiered_pages.h"
#include "runtime/memory/mapped_memory.h"

namespace kvplace {

/// What the runtime cannot do of an instance, as one sentence.
[[nodiscard]] Status check_runs(const TraceReader& trace, const Instance& instance);

class TraceRunner {
 public:
  TraceRunner(const TraceReader& trace, const Instance& instance, const TraceRunOptions& options, const ReplayJob& job)
      : trace_(trace), instance_(instance), options_(options), job_(job) {}

  /// Makes the memories, for decode steps up to `end_step`, and writes the prompt's blocks.
  [[nodiscard]] Status start(std::span<const std::uint32_t> first_reads, std::uint32_t end_step);
  [[nodiscard]] Status process(const Segment& segment, const SegmentWindow& window, std::uint32_t end_step);
  [[nodiscard]] TraceRun result() const;

  [[nodiscard]] const PolicyPlacement& placement() const { return *placement_; }
  [[nodiscard]] Status make_placement();
  [[nodiscard]] const Memory& far() const { return pages_->far(); }

 private:
  /// The first bytes of a block, which say whose they are.
  struct Stamp {
    std::uint64_t block;
    std::uint64_t version;
  };

  [[nodiscard]] Status write_prompt();
  [[nodiscard]] Status create(BlockIndex block);
  [[nodiscard]] Status append(const StepView& record);
  void write_new_kv(BlockIndex block, std::size_t bytes);
  [[nodiscard]] Status step(const StepView& record, const SegmentWindow& window);
  [[nodiscard]] Status read(std::span<const BlockIndex> blocks);
  [[nodiscard]] Status wait();
  [[nodiscard]] Status read_block(BlockIndex block, const std::byte* page, const std::byte* next);
  void read_weights(LayerIndex layer, std::uint64_t bytes);
  /// Blocks of (layer, request) that are being filled.
  [[nodiscard]] std::vector<BlockIndex>& filling(LayerIndex layer, std::uint32_t request) {
    return filling_[std::size_t{layer.value()} * instance_.layout().requests + request];
  }

  const TraceReader& trace_;
  const Instance& instance_;
  TraceRunOptions options_;
  ReplayJob job_;
  std::unique_ptr<PolicyPlacement> placement_;
  std::unique_ptr<TieredPages> pages_;
  std::optional<Mapping> weights_;
  std::uint64_t weight_bytes_ = 0;
  std::size_t block_bytes_ = 0;
  std::vector<std::uint64_t> versions_;  // by BlockIndex
  std::vector<std::vector<BlockIndex>> filling_;
  std::vector<BlockIndex> reads_;
  std::vector<BlockIndex> left_;
  std::vector<BlockIndex> complete_;
  std::uint64_t sum_ = 0;
  TraceRun result_;
};

}  // namespace kvplace
