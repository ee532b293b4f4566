/// What a hit saves in each layer's steps, learned from its recent ones: how much longer each would have taken with one
/// block more read from far and one less from near.
///
/// Where far is the slower side that is a block's time there; where near is, the hit costs its time on near memory
/// (formulation, "Time").
#pragma once

#include <vector>

#include "kvplace/policy/policy.h"

namespace kvplace {

class FarCost {
 public:
  void start(const Instance& instance);
  /// Takes in the step at hand, before promotions.
  void observe(const StepInput& input);

  /// ln of what a hit in `layer` is worth, 0 where every step waits for the far side.
  [[nodiscard]] float log_worth(LayerIndex layer) const { return log_worth_[group_of(layer)]; }
  /// True if near memory is what the step at hand waits for and a promotion would cost more there than it can save.
  [[nodiscard]] bool hold_back(LayerIndex layer) const {
    return near_waits_ && worth_[group_of(layer)] * kHitsPerPromotion < near_to_far_;
  }
  /// True if a copy that may never be read still saves more, on average, than it costs on near memory.
  [[nodiscard]] bool copies_pay(LayerIndex layer) const {
    return worth_[group_of(layer)] > kCopiesPerHit * near_to_far_;
  }

 private:
  static constexpr double kHitsPerPromotion = 4;
  static constexpr double kCopiesPerHit = 10;

  /// With a barrier per token all layers wait together.
  [[nodiscard]] std::size_t group_of(LayerIndex layer) const { return log_worth_.size() == 1 ? 0 : layer.value(); }
  void learn(std::size_t group, const Loads& loads, std::uint32_t layers);

  const Instance* instance_ = nullptr;
  Bytes block_;
  double near_to_far_ = 0;     // time of a block on near memory, as a share of its time on the far side
  std::vector<double> worth_;  // of a hit, 1: a block's time on the far side
  std::vector<float> log_worth_;
  Loads open_loads_;  // since the last barrier
  bool near_waits_ = false;
};

}  // namespace kvplace
