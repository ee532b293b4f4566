/// Computes the elementary bounds in the pass that replays policies.
#pragma once

#include "kvplace/bound/elementary.h"
#include "kvplace/simulate/compare.h"

namespace kvplace {

class BoundsVisitor final : public TraceVisitor {
 public:
  explicit BoundsVisitor(const Instance& instance) : bounds_(instance) {}

  Status visit(const Segment& segment) override {
    for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
      for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
        bounds_.add(segment.view(step, layer));
      }
    }
    return {};
  }

  [[nodiscard]] Bounds bounds() const { return {bounds_.perfect_split(), bounds_.all_near()}; }

 private:
  ElementaryBounds bounds_;
};

}  // namespace kvplace
