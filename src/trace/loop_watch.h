/// Progress of a long loop and its check for a request to stop.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"

namespace kvplace {

class LoopWatch {
 public:
  /// `total` units are to be done, 0 if that is unknown.
  LoopWatch(const RunContext& context, std::string_view what, std::uint64_t total, std::string_view unit)
      : context_(context), what_(what) {
    if (context_.progress != nullptr) {
      context_.progress->start(what, total, unit);
    }
  }
  LoopWatch(const LoopWatch&) = delete;
  LoopWatch& operator=(const LoopWatch&) = delete;
  ~LoopWatch() {
    if (context_.progress != nullptr) {
      context_.progress->update(done_);
      context_.progress->finish();
    }
  }

  /// `count` more units are done. An error if it is asked to stop.
  [[nodiscard]] Status advance(std::uint64_t count = 1) {
    done_ += count;
    if (context_.stop_requested()) {
      return interrupted("stopped while " + what_ + "; nothing was written");
    }
    if (context_.progress != nullptr && done_ >= next_update_) {
      context_.progress->update(done_);
      next_update_ = done_ + kUpdateEvery;
    }
    return {};
  }

 private:
  static constexpr std::uint64_t kUpdateEvery = 1024;

  const RunContext& context_;
  std::string what_;
  std::uint64_t done_ = 0;
  std::uint64_t next_update_ = kUpdateEvery;
};

}  // namespace kvplace
