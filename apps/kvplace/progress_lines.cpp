#include "progress_lines.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "kvplace/base/short_text.h"

namespace kvplace::cli {
namespace {

constexpr std::chrono::seconds kFirstAfter{10};
constexpr std::chrono::seconds kThenEvery{30};

double in_seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

ProgressLines::ProgressLines(std::function<Clock::time_point()> now, std::function<void(const std::string&)> write)
    : now_(std::move(now)), write_(std::move(write)), begin_(now_()), due_(begin_ + kFirstAfter) {}

void ProgressLines::start(std::string_view what, std::uint64_t total, std::string_view unit) {
  const std::lock_guard lock(mutex_);
  what_ = what;
  unit_ = unit;
  total_ = total;
  done_ = 0;
  begin_of_stage_ = now_();
  in_stage_ = true;
}

void ProgressLines::update(std::uint64_t done) {
  const std::lock_guard lock(mutex_);
  done_ = done;
  look_locked();
}

void ProgressLines::finish() {
  const std::lock_guard lock(mutex_);
  in_stage_ = false;
}

void ProgressLines::figure(std::string_view name, double value) {
  const std::lock_guard lock(mutex_);
  figures_.set(name, value);
}

void ProgressLines::look() {
  const std::lock_guard lock(mutex_);
  look_locked();
}

void ProgressLines::look_locked() {
  const Clock::time_point now = now_();
  if (now >= due_) {
    write_(line(now));
    due_ = now + kThenEvery;
  }
}

std::string ProgressLines::line(Clock::time_point now) const {
  std::string text = fmt::format("kvplace: {:.0f} s", in_seconds(now - begin_));
  if (in_stage_) {
    text += ": " + what_;
    const double rate = static_cast<double>(done_) / std::max(1e-9, in_seconds(now - begin_of_stage_));
    if (total_ == 0) {
      text += fmt::format(", {} {}", with_commas(done_), unit_);
    } else {
      const std::uint64_t done = std::min(done_, total_);
      text += fmt::format(", {:.0f} % of {} {}", 100.0 * static_cast<double>(done) / static_cast<double>(total_),
                          with_commas(total_), unit_);
      if (done > 0) {
        text += fmt::format(", {:.0f} s left", static_cast<double>(total_ - done) / rate);
      }
    }
  } else {
    text += " at work";
  }
  return text + figures_.text() + "\n";
}

}  // namespace kvplace::cli
