/// Lower bounds that follow from each step alone: capacity and migration are ignored.
#pragma once

#include <cstdint>

#include "kvplace/base/units.h"
#include "kvplace/instance/instance.h"

namespace kvplace {

/// Adds up, record by record in trace order:
/// - perfect split: each step (or decode step, with a barrier per token) at the best division of its reads between the
///   sides (formulation, "Perfect split, all near"). No schedule of the mode is faster.
/// - all near: everything served near, as if near memory were large enough; what a machine without a far tier would
/// take.
class ElementaryBounds {
 public:
  explicit ElementaryBounds(const Instance& instance) : instance_(&instance) {}

  void add(const StepView& record);

  [[nodiscard]] Seconds perfect_split() const { return perfect_split_; }
  [[nodiscard]] Seconds all_near() const { return all_near_; }

 private:
  void close_group();

  const Instance* instance_;
  Loads all_near_loads_;
  Movable movable_;
  Seconds perfect_split_;
  Seconds all_near_;
};

}  // namespace kvplace
