/// Results of the runtime as text.
#pragma once

#include <string>

#include "kvplace/runtime/calibrate.h"
#include "kvplace/runtime/run.h"

namespace kvplace::cli {

[[nodiscard]] std::string table(const Calibration& calibration);
[[nodiscard]] std::string table(const TraceRuns& runs);

}  // namespace kvplace::cli
