/// The value below which blocks leave near, one for all layers: it moves until near is just full.
#pragma once

#include <algorithm>

#include "kvplace/base/units.h"

namespace kvplace {

class ValueThreshold {
 public:
  /// `layers`: steps per decode step. `block`: what comes and goes at once.
  void reset(Bytes capacity, Bytes block, std::size_t layers) {
    capacity_ = static_cast<double>(capacity.value());
    slack_ = capacity_ > 0 ? std::max(0.0004, 0.5 * static_cast<double>(block.value()) / capacity_) : 1;
    per_step_ = 0.015 / static_cast<double>(layers);
  }

  /// ln of the value per KV block.
  [[nodiscard]] float log_value() const { return static_cast<float>(log_value_); }

  /// Nothing leaves for the threshold's sake when no more than this is near: values that sink together would empty near
  /// before the threshold has followed them.
  [[nodiscard]] Bytes least_filling() const { return Bytes(static_cast<std::int64_t>(capacity_ * (1 - kMostRoom))); }

  /// After each step. Down fast as long as near was never full, then slowly both ways around a filling of
  /// 1 - slack (policy.md's control, its rates per decode step).
  void follow(Bytes used) {
    const double filled = capacity_ > 0 ? static_cast<double>(used.value()) / capacity_ : 1;
    if (!was_full_ && filled <= 1 - 10 * slack_) {
      return;
    }
    const double excess = std::clamp((filled - (1 - slack_)) / slack_, -1.0, 1.0);
    if (!settled_) {
      settled_ = was_full_ && excess < 0;
      was_full_ = true;
    }
    log_value_ += (settled_ ? 1 : kFirstRates) * per_step_ * excess;
  }

 private:
  static constexpr double kFirstRates = 40;
  static constexpr double kMostRoom = 0.008;

  double capacity_ = 0;
  double slack_ = 1;
  double per_step_ = 0;
  double log_value_ = -12;
  bool was_full_ = false;
  bool settled_ = false;
};

}  // namespace kvplace
