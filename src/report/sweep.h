/// Times along near capacity and along the link.
#pragma once

#include "kvplace/report/report.h"
#include "size/evaluate.h"

namespace kvplace {

struct FigureSweeps {
  FigureSweep near_capacity;
  FigureSweep link;
};

/// Errors: interrupted.
[[nodiscard]] Result<FigureSweeps> sweep_figures(const TraceReader& trace, const Instance& instance,
                                                 const std::vector<PolicySpec>& policies, Seconds bounds_limit,
                                                 const RunContext& context);

}  // namespace kvplace
