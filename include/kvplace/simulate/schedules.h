/// Writing a policy's decisions down as a schedule, and replaying a stored one.
#pragma once

#include <string>

#include "kvplace/instance/schedule.h"
#include "kvplace/simulate/compare.h"

namespace kvplace {

/// Replays `policy` and writes what it decides to `path`. Errors if the replay is interrupted; nothing is written then.
[[nodiscard]] Result<ReplayResult> record_schedule(const TraceReader& trace, const Instance& instance,
                                                   const PolicySpec& policy, const std::string& path,
                                                   const RunContext& context);

struct ScheduleReplay {
  ReplayResult result;
  Bounds bounds;
};

/// What a stored schedule costs. Rejects one made for another trace, shape or mode or under another migration rule, or
/// that breaks a rule on the way.
[[nodiscard]] Result<ScheduleReplay> replay_schedule(const TraceReader& trace, const std::string& path,
                                                     const Instance& instance, const RunContext& context);

}  // namespace kvplace
