/// What a look-ahead policy is told of the reads to come: those within its horizon, each right with a given
/// probability. What is told wrongly depends on the seed, the decode step and the layer alone.
#pragma once

#include <cstdint>
#include <vector>

#include "kvplace/policy/policy.h"
#include "trace/segment_window.h"

namespace kvplace {

class ToldReads final : public Lookahead {
 public:
  ToldReads(std::uint32_t horizon, double accuracy, std::uint64_t seed, std::uint32_t layers);

  /// `window` holds the decode steps from `now` to `now` + horizon and outlives the calls of reads().
  /// `ranking`: of the step at hand.
  void move_to(const SegmentWindow& window, std::uint32_t now, std::span<const BlockId> ranking);
  [[nodiscard]] std::span<const BlockId> reads(StepIndex step, LayerIndex layer) const override;
  [[nodiscard]] std::span<const BlockId> ranking() const override { return ranking_; }

 private:
  struct Told {
    std::uint64_t step_plus_1 = 0;
    std::vector<BlockId> reads;
  };

  void distort(std::span<const BlockId> reads, std::uint32_t step, std::uint32_t layer, Told& told) const;

  std::uint32_t horizon_;
  double accuracy_;
  std::uint64_t seed_;
  std::uint32_t layers_;
  const SegmentWindow* window_ = nullptr;
  std::uint32_t now_ = 0;
  std::span<const BlockId> ranking_;
  mutable std::vector<Told> told_;  // a ring of horizon + 1 decode steps x layers; unused if all is right
};

}  // namespace kvplace
