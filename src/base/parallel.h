/// Independent tasks on a few threads.
#pragma once

#include <cstddef>
#include <functional>

#include "kvplace/base/result.h"

namespace kvplace {

/// `threads`, or the number of cores if it is 0.
[[nodiscard]] std::size_t num_threads(unsigned threads);

/// Runs task(0) ... task(count - 1), each once, on up to `threads` threads (0 = one per core). Returns the error of the
/// lowest failing index, whatever the order they ran in.
[[nodiscard]] Status run_parallel(std::size_t count, unsigned threads, const std::function<Status(std::size_t)>& task);

}  // namespace kvplace
