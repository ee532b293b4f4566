/// Progress as one line on stderr: bar, rate, time left.
#pragma once

#include <chrono>
#include <string>

#include "kvplace/base/progress.h"
#include "progress_figures.h"

namespace kvplace::cli {

class ProgressBar final : public Progress {
 public:
  void start(std::string_view what, std::uint64_t total, std::string_view unit) override;
  void update(std::uint64_t done) override;
  void finish() override;
  void figure(std::string_view name, double value) override;

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  std::string unit_;
  std::uint64_t total_ = 0;
  ProgressFigures figures_;
  Clock::time_point begin_;
  Clock::time_point last_drawn_;
};

}  // namespace kvplace::cli
