/// Results as JSON text, with the keys of docs/json.md.
#pragma once

#include <string>

#include "kvplace/simulate/compare.h"
#include "kvplace/trace/statistics.h"

namespace kvplace {

[[nodiscard]] std::string to_json(const Comparison& comparison, const Instance& instance);
/// One replayed schedule.
[[nodiscard]] std::string to_json(const ReplayResult& result, const Bounds& bounds, const Manifest& manifest,
                                  const Instance& instance);
/// The "instance" of both.
[[nodiscard]] std::string to_json(const Instance& instance);
[[nodiscard]] std::string to_json(const TraceStatistics& statistics, const TraceReader& trace);

}  // namespace kvplace
