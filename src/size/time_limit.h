/// A stop request that also comes when time is up.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "kvplace/base/interrupt.h"
#include "kvplace/base/units.h"

namespace kvplace {

/// Requests its interrupt as soon as `outer` is requested, or when `limit` has passed since it was made: within some
/// hundredths of a second, as long as the machine lets its thread run, and at once in look().
class TimeLimit {
 public:
  TimeLimit(Seconds limit, const Interrupt* outer);

  [[nodiscard]] const Interrupt* interrupt() const { return &interrupt_; }
  void look();
  /// Whether `outer` was the reason.
  [[nodiscard]] bool outer_requested() const { return outer_ != nullptr && outer_->requested(); }

 private:
  using Clock = std::chrono::steady_clock;

  void watch(const std::stop_token& stop);

  const Interrupt* outer_;
  Clock::time_point end_;
  Interrupt interrupt_;
  std::mutex mutex_;
  std::condition_variable_any ended_;
  std::jthread watcher_;  // last: it uses all others
};

}  // namespace kvplace
