/// Decides which pages are near, step by step, with the replay's own machinery: the same policy objects, one call per
/// step, the same checks, and what the replay predicts beside it.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kvplace/simulate/replay.h"
#include "simulate/policy_run.h"

namespace kvplace {

class PolicyPlacement final : public DecisionObserver {
 public:
  /// `job`: its observer is not used. Policies that are searched for or planned come as a schedule.
  [[nodiscard]] static Result<std::unique_ptr<PolicyPlacement>> make(const ReplayJob& job);

  [[nodiscard]] Status start(std::span<const std::uint32_t> first_reads, bool has_ranking) {
    return run_.start(first_reads, has_ranking);
  }
  [[nodiscard]] const std::vector<BlockIndex>& initial_near() const { return initial_near_; }
  /// `window`: what look-ahead policies look at; empty where nobody knows what comes.
  [[nodiscard]] Status step(const StepView& record, const SegmentWindow& window) {
    return run_.process_next(record, window);
  }
  /// Of the last step; valid until the next.
  [[nodiscard]] const Decision& decision() const { return decision_; }
  /// What the replay makes of all steps so far.
  [[nodiscard]] ReplayResult predicted() const { return run_.result(); }
  [[nodiscard]] const PolicyRun& run() const { return run_; }

  Status on_start(std::span<const BlockIndex> initial_near) override {
    initial_near_.assign(initial_near.begin(), initial_near.end());
    return {};
  }
  Status on_step(StepIndex, LayerIndex, const Decision& decision) override {
    decision_.promote.assign(decision.promote.begin(), decision.promote.end());
    decision_.evict.assign(decision.evict.begin(), decision.evict.end());
    return {};
  }

 private:
  explicit PolicyPlacement(ReplayJob job) : run_(observed(job)) {}
  ReplayJob observed(ReplayJob& job) {
    job.observer = this;
    return job;
  }

  std::vector<BlockIndex> initial_near_;
  Decision decision_;
  PolicyRun run_;
};

}  // namespace kvplace
