/// When planning ends though more could be gained.
#pragma once

#include <chrono>
#include <functional>

#include "kvplace/base/run_context.h"
#include "kvplace/solve/plan.h"

namespace kvplace {

/// Says whether to stop with what costs so many seconds.
using StopPlanning = std::function<bool(double)>;

/// At the time limit, counted from here, at a total that is enough, or when asked to. Refers to both arguments.
[[nodiscard]] inline StopPlanning stop_planning(const PlanOptions& options, const RunContext& context) {
  return [&options, &context, begin = std::chrono::steady_clock::now()](double total) {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    return context.stop_requested() || total <= options.enough.value() || passed.count() >= options.time_limit.value();
  };
}

}  // namespace kvplace
