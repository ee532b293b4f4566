/// Linear and mixed integer programs through COIN-OR's Clp and Cbc, silently. The only files that know these libraries
/// are this one's source and the build.
#pragma once

#include <chrono>
#include <cstddef>
#include <limits>
#include <vector>

#include "kvplace/base/run_context.h"
#include "kvplace/base/units.h"

namespace kvplace {

/// Minimise cost * x under lower <= x <= upper, row_lower <= A x <= row_upper.
class LinearProgram {
 public:
  static constexpr double kInfinity = std::numeric_limits<double>::max();  // Clp's

  int add_column(double lower, double upper, double cost, bool whole = false);
  /// Its entries follow, one for each column at most.
  int add_row(double lower, double upper);
  void add_entry(int row, int column, double value);

  [[nodiscard]] std::size_t num_columns() const { return cost_.size(); }
  [[nodiscard]] std::size_t num_rows() const { return row_lower_.size(); }

 private:
  friend class CoinProblem;
  std::vector<double> cost_;
  std::vector<double> lower_;
  std::vector<double> upper_;
  std::vector<int> whole_;  ///< columns
  std::vector<double> row_lower_;
  std::vector<double> row_upper_;
  std::vector<int> entry_rows_;
  std::vector<int> entry_columns_;
  std::vector<double> entries_;
};

/// When to give up.
struct SolveLimit {
  std::chrono::steady_clock::time_point end;
  const RunContext* context = nullptr;

  [[nodiscard]] double seconds_left() const {
    return std::chrono::duration<double>(end - std::chrono::steady_clock::now()).count();
  }
  [[nodiscard]] bool reached() const { return context->stop_requested() || seconds_left() <= 0; }
};

struct LinearSolution {
  bool optimal = false;  ///< the rest holds only then
  double objective = 0;
  std::vector<double> row_prices;  ///< change of the objective per change of a row's binding side
};

/// The relaxation: no column needs to be whole.
[[nodiscard]] LinearSolution solve_relaxed(const LinearProgram& program, const SolveLimit& limit);

struct WholeSolution {
  bool found = false;
  bool optimal = false;
  std::vector<double> values;  ///< by column, if found
};

[[nodiscard]] WholeSolution solve_whole(const LinearProgram& program, const SolveLimit& limit);

}  // namespace kvplace
