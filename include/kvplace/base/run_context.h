/// What changes only how work runs, never its result: threads, progress, the request to stop.
#pragma once

#include "kvplace/base/interrupt.h"
#include "kvplace/base/progress.h"

namespace kvplace {

struct RunContext {
  unsigned threads = 0;                  ///< worker threads; 0 = one per core
  Progress* progress = nullptr;          ///< not owned; may be null
  const Interrupt* interrupt = nullptr;  ///< not owned; may be null

  [[nodiscard]] bool stop_requested() const { return interrupt != nullptr && interrupt->requested(); }
};

}  // namespace kvplace
