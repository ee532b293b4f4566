/// A stored schedule as the source of a replay's decisions.
#pragma once

#include "kvplace/instance/schedule.h"
#include "kvplace/simulate/replay.h"

namespace kvplace {

class StoredDecisions final : public DecisionSource {
 public:
  explicit StoredDecisions(ScheduleReader& reader) : reader_(reader) {}
  Result<std::vector<BlockIndex>> initial_near() override { return reader_.initial_near(); }
  Status next(StepIndex, LayerIndex, Decision& decision) override {
    return reader_.next(decision.promote, decision.evict);
  }

 private:
  ScheduleReader& reader_;
};

}  // namespace kvplace
