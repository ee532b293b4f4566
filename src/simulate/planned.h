/// Policies whose decisions are planned on the whole trace before the replay.
#pragma once

#include "kvplace/simulate/replay.h"

namespace kvplace {

/// Plans `job`'s instance into a temporary file and replays that. Where the planner does not reach (can_plan), the
/// fastest of the policies that know next reads serves.
[[nodiscard]] Result<ReplayResult> replay_plan(const TraceReader& trace, const ReplayJob& job,
                                               const RunContext& context);

}  // namespace kvplace
