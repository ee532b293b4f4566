/// Results as text that a person reads at a glance.
#pragma once

#include <string>

#include "kvplace/simulate/prove.h"
#include "kvplace/simulate/schedules.h"
#include "kvplace/trace/statistics.h"

namespace kvplace::cli {

/// Behind a number of decode steps: what is decoded in steps of several tokens; empty where each is of one.
[[nodiscard]] std::string tokens_text(const TraceTotals& totals, bool served = false);
/// What is compared: trace, machine, mode, capacity; a line each, then the notes.
[[nodiscard]] std::string describe(const TraceReader& trace, const Instance& instance);
[[nodiscard]] std::string table(const Comparison& comparison, const Instance& instance, int width);
[[nodiscard]] std::string table(const ScheduleReplay& replay, const Instance& instance, int width);
[[nodiscard]] std::string table(const Proof& proof, const Instance& instance);
/// What is proven and about what, so that nobody takes it for another machine's.
[[nodiscard]] std::string table(const TraceReader& trace, const Certificate& certificate, const VerifiedBound& bound);
[[nodiscard]] std::string table(const TraceStatistics& statistics, const TraceReader& trace);

}  // namespace kvplace::cli
