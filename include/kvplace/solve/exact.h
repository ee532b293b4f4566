/// The best time of a small instance, exactly: the linear relaxation of the formulation and its optimum over all
/// schedules, through a solver library. What the bounds for large traces are checked against.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/instance/instance.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

struct ExactOptions {
  bool milp = false;                     ///< also search all schedules; seconds to minutes for 500 variables
  std::size_t most_variables = 100'000;  ///< a larger model is refused; the relaxation of 40,000 takes about 30 s
  Seconds time_limit{60};                ///< of both solutions together, without building the model
};

/// A *group* is what time is taken of: a (decode step, layer), t-major; with a barrier per token a decode step.
///
/// Reads of mirrored blocks are split in fractions of a byte here, in whole bytes in a replay (less than a byte per
/// group apart). Capacity counts as rounded down to a multiple of the blocks' common divisor, which forbids no
/// schedule and makes the relaxation tighter.
struct ExactSolution {
  Seconds lp;               ///< no schedule is faster; 0 unless lp_optimal
  bool lp_optimal = false;  ///< false: time limit or interrupt; there are no prices then

  std::optional<Seconds> milp;  ///< time of the best schedule found, if one was asked for and found
  bool milp_optimal = false;    ///< no schedule is faster than it, up to about 1e-9 of it
  /// Its blocks near at the start, then after each (decode step, layer), ascending.
  std::vector<std::vector<BlockIndex>> schedule;

  // Dual prices of the relaxation; with them weak duality gives `lp` back. All at least 0.
  /// By group and channel: seconds per second of the channel's time. Up to rounding (1e-9) each is at most 1 and their
  /// sum at most 1 + interference; with overlap none, near's and the sum of the others are at most 1.
  std::vector<std::array<double, kNumChannels>> channel_prices;
  /// By (decode step, layer), t-major: seconds per byte (of one request) of capacity after that step.
  std::vector<double> row_prices;
  double start_price = 0;  ///< the same for the initial placement; 0 unless the start is free

  Bytes capacity;  ///< of one request, as rounded
  std::size_t variables = 0;
  std::size_t rows = 0;
};

/// What solve_exact() refuses: bad input if the model would have more than `most_variables` variables. At most two
/// passes over a trace of fewer steps than that.
[[nodiscard]] Status check_exact(const TraceReader& trace, const Instance& instance, const ExactOptions& options);

/// Errors: bad input if the model would have more than `most_variables` variables. Memory and time to build the model:
/// O(blocks x steps). Uses one thread.
[[nodiscard]] Result<ExactSolution> solve_exact(const TraceReader& trace, const Instance& instance,
                                                const ExactOptions& options, const RunContext& context);

}  // namespace kvplace
