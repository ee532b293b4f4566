/// Results as JSON text, with the keys of docs/json.md.
#pragma once

#include <string>

#include "kvplace/simulate/compare.h"
#include "kvplace/simulate/prove.h"
#include "kvplace/trace/statistics.h"

namespace kvplace {

/// Gaps to the certified bound are there if the comparison has one.
[[nodiscard]] std::string to_json(const Comparison& comparison, const Instance& instance);
/// One replayed schedule.
[[nodiscard]] std::string to_json(const ReplayResult& result, const Bounds& bounds, const Manifest& manifest,
                                  const Instance& instance);
/// A proven bound, with the schedule near it.
[[nodiscard]] std::string to_json(const Proof& proof, const Instance& instance);
/// What a certificate proves. Without a `bound` it was rejected, for `reason`; null `certificate`: it could not be
/// read.
[[nodiscard]] std::string to_json(const Certificate* certificate, const VerifiedBound* bound,
                                  const std::string& reason);
/// The "manifest" of all.
[[nodiscard]] std::string to_json(const Manifest& manifest);
/// The "instance" of both.
[[nodiscard]] std::string to_json(const Instance& instance);
[[nodiscard]] std::string to_json(const TraceStatistics& statistics, const TraceReader& trace);

}  // namespace kvplace
