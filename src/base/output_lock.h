/// Two runs that write one file: the second one is refused.
#pragma once

#include <string>

#include "kvplace/base/result.h"

namespace kvplace {

/// Holds the right to write `target` until it is destroyed, against all processes that see the folder.
///
/// It is an flock on an empty file beside the target, ".NAME.lock", which is removed at the end. The kernel releases
/// the lock however the process ends; the file that a killed run leaves is taken over by the next one. The target
/// itself cannot carry the lock: renaming an output into place replaces it. Where the file system has no locks the run
/// goes on without; what OutputFile::commit finds changed it still refuses to replace.
class OutputLock {
 public:
  /// `name` is what the user calls the target. Bad input if nothing can be made in its folder; failed if another run
  /// holds it.
  [[nodiscard]] static Result<OutputLock> acquire(const std::string& target, const std::string& name);
  OutputLock(OutputLock&& other) noexcept;
  OutputLock& operator=(OutputLock&&) = delete;
  ~OutputLock();

 private:
  OutputLock(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_;  // -1: moved from
};

}  // namespace kvplace
