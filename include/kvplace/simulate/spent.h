/// Where the time of a decode step goes.
#pragma once

#include "kvplace/simulate/replay.h"

namespace kvplace {

/// What a step is spent on, in seconds: they add up to it.
struct Spent {
  double weights = 0;
  double kv_near = 0;  ///< with windows and states
  double link = 0;     ///< what is waited for beyond near memory
  double selector = 0;
  double overhead = 0;
};

/// Of the mean decode step of a replay. Where that is less than what near memory alone takes, `link` is 0.
/// `scale`: so many layers of the model does each layer of the trace stand for.
[[nodiscard]] Spent spent_in_step(const ReplayResult& result, const Instance& instance, double scale = 1);

}  // namespace kvplace
