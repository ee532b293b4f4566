#include "progress_bar.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

namespace kvplace::cli {

void ProgressBar::start(std::string_view what, std::uint64_t total, std::string_view unit) {
  what_ = what;
  unit_ = unit;
  total_ = total;
  begin_ = last_drawn_ = Clock::now();
}

void ProgressBar::update(std::uint64_t done) {
  constexpr auto kRedrawEvery = std::chrono::milliseconds(100);
  constexpr std::uint64_t kWidth = 24;
  const Clock::time_point now = Clock::now();
  if (now - last_drawn_ < kRedrawEvery) {
    return;
  }
  last_drawn_ = now;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  const double rate = static_cast<double>(done) / seconds;
  if (total_ == 0) {
    fmt::print(stderr, "\r\033[K{}: {} {}, {:.3g}/s{}", what_, done, unit_, rate, figures_.text());
  } else {
    const auto filled = static_cast<std::size_t>(std::min(kWidth, done * kWidth / total_));
    const double left = rate > 0 ? static_cast<double>(total_ - std::min(done, total_)) / rate : 0;
    fmt::print(stderr, "\r\033[K{} [{:<24}] {:3}% {:.3g} {}/s, {:.0f} s left{}", what_, std::string(filled, '#'),
               done * 100 / total_, rate, unit_, left, figures_.text());
  }
  std::fflush(stderr);
}

void ProgressBar::finish() {
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
}

void ProgressBar::figure(std::string_view name, double value) { figures_.set(name, value); }

}  // namespace kvplace::cli
