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
};

}  // namespace kvplace
