/// Where a sweep stands, as text.
#pragma once

#include <string>

#include "kvplace/sweep/sweep.h"

namespace kvplace::cli {

/// Points done, failed and pending, what failures say, and what to do next.
[[nodiscard]] std::string sweep_text(const SweepStatus& status, const std::string& database);

/// The same with the keys of docs/json.md.
[[nodiscard]] std::string to_json(const SweepStatus& status);

}  // namespace kvplace::cli
