/// Progress of long work, reported to whoever runs it. The library itself prints nothing.
#pragma once

#include <cstdint>
#include <string_view>

namespace kvplace {

/// Receives progress. Calls come from one thread at a time.
class Progress {
 public:
  virtual ~Progress() = default;
  /// Work of `total` units (0 = unknown) named `what` begins; `unit` is a plural noun.
  virtual void start(std::string_view what, std::uint64_t total, std::string_view unit) = 0;
  /// `done` units are finished in all.
  virtual void update(std::uint64_t done) = 0;
  virtual void finish() = 0;
  /// Seconds of a "bound" or of the best "schedule", or the number of the "pass". It stands until it is given anew.
  virtual void figure(std::string_view /*name*/, double /*value*/) {}
};

/// `progress` may be null.
inline void report_figure(Progress* progress, std::string_view name, double value) {
  if (progress != nullptr) {
    progress->figure(name, value);
  }
}

}  // namespace kvplace
