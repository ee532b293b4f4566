/// The time of a cell whose mirrored reads are split.
#pragma once

#include <algorithm>
#include <array>

#include "kvplace/instance/step_time.h"

namespace kvplace {

/// As best_split(), in seconds; faster where the time is the longest channel's.
[[nodiscard]] inline double split_time(const StepTime& step_time, const Loads& all_near, std::int64_t movable,
                                       std::uint32_t layers) {
  if (step_time.overlap() != Overlap::kFull || step_time.interference() != 0) {
    return best_split(step_time, all_near, {Bytes(movable), Bytes(0)}, layers).time.value();
  }
  // Near's time falls and the far channels' rise with the bytes moved: the first crossing is the best.
  std::array<double, kNumChannels> times{};
  for (std::size_t i = 0; i < kNumChannels; ++i) {
    times[i] = static_cast<double>(all_near.bytes[i]) / step_time.bandwidth(static_cast<Channel>(i)).value();
  }
  const double near_rate = step_time.bandwidth(Channel::kNearMem).value();
  const double link_rate = step_time.bandwidth(Channel::kFarLinkRead).value();
  const double mem_rate = step_time.bandwidth(Channel::kFarMem).value();
  const double by_link = (times[0] - times[1]) / (1 / near_rate + 1 / link_rate);
  const double by_mem = (times[0] - times[3]) / (1 / near_rate + 1 / mem_rate);
  const double moved = std::clamp(std::min(by_link, by_mem), 0.0, static_cast<double>(movable));
  times[0] -= moved / near_rate;
  times[1] += moved / link_rate;
  times[3] += moved / mem_rate;
  return step_time.time_of(times, layers).value();
}

}  // namespace kvplace
