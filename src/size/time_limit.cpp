#include "size/time_limit.h"

#include <algorithm>

namespace kvplace {

TimeLimit::TimeLimit(Seconds limit, const Interrupt* outer)
    : outer_(outer),
      end_(Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                              std::clamp(limit.value(), 0.0, 1e9)))),  // clocks end before doubles do
      watcher_([this](const std::stop_token& stop) { watch(stop); }) {}

void TimeLimit::look() {
  if (outer_requested() || Clock::now() >= end_) {
    interrupt_.request();
  }
}

void TimeLimit::watch(const std::stop_token& stop) {
  constexpr auto kLookEvery = std::chrono::milliseconds(20);
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested() && !interrupt_.requested()) {
    ended_.wait_for(lock, stop, kLookEvery, [] { return false; });
    look();
  }
}

}  // namespace kvplace
