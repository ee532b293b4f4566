/// Writes what a policy decides to a schedule.
#pragma once

#include <span>
#include <utility>

#include "kvplace/instance/schedule.h"
#include "kvplace/simulate/replay.h"

namespace kvplace {

class ScheduleRecorder final : public DecisionObserver {
 public:
  explicit ScheduleRecorder(ScheduleWriter writer) : writer_(std::move(writer)) {}
  Status on_start(std::span<const BlockIndex> initial_near) override { return writer_.start(initial_near); }
  Status on_step(StepIndex, LayerIndex, const Decision& decision) override {
    return writer_.add(decision.promote, decision.evict);
  }
  /// After the last step: the file appears under its name.
  [[nodiscard]] Status finish() { return writer_.finish(); }

 private:
  ScheduleWriter writer_;
};

}  // namespace kvplace
