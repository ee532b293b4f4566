/// How long the tokens of a served batch take: each that of the decode step which decodes it.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "kvplace/base/units.h"

namespace kvplace {

class TokenTimes {
 public:
  /// More of the decode step at hand.
  void add(Seconds time) { open_ += time; }
  /// The decode step at hand is over; it decoded so many tokens.
  void end_step(std::uint32_t tokens) {
    steps_.push_back({open_, tokens});
    open_ = Seconds(0);
  }
  /// The least time within which a share of all tokens is decoded; 0 without any.
  [[nodiscard]] Seconds quantile(double share) const {
    std::vector<Step> sorted = steps_;
    std::sort(sorted.begin(), sorted.end(), [](const Step& a, const Step& b) { return a.time < b.time; });
    const double all = std::accumulate(sorted.begin(), sorted.end(), 0.0,
                                       [](double sum, const Step& step) { return sum + step.tokens; });
    double within = 0;
    for (const Step& step : sorted) {
      within += step.tokens;
      if (within >= share * all) {
        return step.time;
      }
    }
    return Seconds(0);
  }

 private:
  struct Step {
    Seconds time;
    std::uint32_t tokens = 0;
  };
  Seconds open_;
  std::vector<Step> steps_;
};

}  // namespace kvplace
