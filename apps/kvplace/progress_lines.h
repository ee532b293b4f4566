/// Progress where there is no terminal: now and then a line in the log.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "kvplace/base/progress.h"
#include "progress_figures.h"

namespace kvplace::cli {

/// The first line after 10 s, then one every 30 s; work that is over before that says nothing. Thread safe.
class ProgressLines final : public Progress {
 public:
  using Clock = std::chrono::steady_clock;

  /// `write` gets each line, its end included; time is counted from the construction on.
  ProgressLines(std::function<Clock::time_point()> now, std::function<void(const std::string&)> write);

  void start(std::string_view what, std::uint64_t total, std::string_view unit) override;
  void update(std::uint64_t done) override;
  void finish() override;
  void figure(std::string_view name, double value) override;

  /// Writes a line if one is due: for work that reports nothing for a while.
  void look();

 private:
  void look_locked();
  [[nodiscard]] std::string line(Clock::time_point now) const;

  std::function<Clock::time_point()> now_;
  std::function<void(const std::string&)> write_;
  std::mutex mutex_;
  Clock::time_point begin_;
  Clock::time_point due_;
  Clock::time_point begin_of_stage_;
  bool in_stage_ = false;
  std::string what_;
  std::string unit_;
  std::uint64_t total_ = 0;
  std::uint64_t done_ = 0;
  ProgressFigures figures_;
};

}  // namespace kvplace::cli
