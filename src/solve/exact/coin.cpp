#include "solve/exact/coin.h"

#include <CbcEventHandler.hpp>
#include <CbcModel.hpp>
#include <CglGomory.hpp>
#include <CglMixedIntegerRounding2.hpp>
#include <CglProbing.hpp>
#include <ClpEventHandler.hpp>
#include <ClpSimplex.hpp>
#include <ClpSolve.hpp>
#include <CoinPackedMatrix.hpp>
#include <OsiClpSolverInterface.hpp>

namespace kvplace {
namespace {

/// Columns, rows and costs are scaled to about 1 before they come here.
constexpr double kTolerance = 1e-9;

/// Stops Clp between two pivots.
class ClpStopper final : public ClpEventHandler {
 public:
  explicit ClpStopper(const SolveLimit& limit) : limit_(&limit) {}
  int event(Event) override { return limit_->reached() ? 0 : -1; }
  [[nodiscard]] ClpEventHandler* clone() const override { return new ClpStopper(*this); }

 private:
  const SolveLimit* limit_;
};

/// Stops Cbc between two nodes.
class CbcStopper final : public CbcEventHandler {
 public:
  explicit CbcStopper(const SolveLimit& limit) : limit_(&limit) {}
  CbcAction event(CbcEvent) override { return limit_->reached() ? stop : noAction; }
  [[nodiscard]] CbcEventHandler* clone() const override { return new CbcStopper(*this); }

 private:
  const SolveLimit* limit_;
};

}  // namespace

int LinearProgram::add_column(double lower, double upper, double cost, bool whole) {
  const int column = static_cast<int>(cost_.size());
  cost_.push_back(cost);
  lower_.push_back(lower);
  upper_.push_back(upper);
  if (whole) {
    whole_.push_back(column);
  }
  return column;
}

int LinearProgram::add_row(double lower, double upper) {
  row_lower_.push_back(lower);
  row_upper_.push_back(upper);
  return static_cast<int>(row_lower_.size()) - 1;
}

void LinearProgram::add_entry(int row, int column, double value) {
  if (value != 0) {
    entry_rows_.push_back(row);
    entry_columns_.push_back(column);
    entries_.push_back(value);
  }
}

/// A program in the libraries' own form.
class CoinProblem {
 public:
  explicit CoinProblem(const LinearProgram& program)
      : matrix_(true, program.entry_rows_.data(), program.entry_columns_.data(), program.entries_.data(),
                static_cast<CoinBigIndex>(program.entries_.size())) {
    // Rows and columns without entries would else be missing.
    matrix_.setDimensions(static_cast<int>(program.num_rows()), static_cast<int>(program.num_columns()));
  }

  template <class Solver>
  void load(const LinearProgram& program, Solver& solver) const {
    solver.loadProblem(matrix_, program.lower_.data(), program.upper_.data(), program.cost_.data(),
                       program.row_lower_.data(), program.row_upper_.data());
  }

  static void mark_whole(const LinearProgram& program, OsiClpSolverInterface& solver) {
    if (!program.whole_.empty()) {
      solver.setInteger(program.whole_.data(), static_cast<int>(program.whole_.size()));
    }
  }

 private:
  CoinPackedMatrix matrix_;
};

LinearSolution solve_relaxed(const LinearProgram& program, const SolveLimit& limit) {
  ClpSimplex clp;
  clp.setLogLevel(0);
  CoinProblem(program).load(program, clp);
  clp.setPrimalTolerance(kTolerance);
  clp.setDualTolerance(kTolerance);
  clp.setPerturbation(50);  // on: prices of placements tie a lot
  const ClpStopper stopper(limit);
  clp.passInEventHandler(&stopper);
  ClpSolve how;
  how.setSolveType(ClpSolve::useDual);
  how.setPresolveType(ClpSolve::presolveOn);
  clp.initialSolve(how);
  LinearSolution solution;
  solution.optimal = clp.isProvenOptimal();
  if (solution.optimal) {
    solution.objective = clp.objectiveValue();
    const double* const prices = clp.dualRowSolution();
    solution.row_prices.assign(prices, prices + program.num_rows());
  }
  return solution;
}

WholeSolution solve_whole(const LinearProgram& program, const SolveLimit& limit) {
  OsiClpSolverInterface clp;
  clp.messageHandler()->setLogLevel(0);
  clp.getModelPtr()->setLogLevel(0);
  CoinProblem(program).load(program, clp);
  CoinProblem::mark_whole(program, clp);
  clp.setDblParam(OsiPrimalTolerance, kTolerance);
  clp.setDblParam(OsiDualTolerance, kTolerance);
  CbcModel cbc(clp);
  cbc.setLogLevel(0);
  cbc.solver()->messageHandler()->setLogLevel(0);
  cbc.setIntegerTolerance(kTolerance);
  // By default Cbc is content with a solution that is worse by 1e-5.
  cbc.setCutoffIncrement(kTolerance);
  cbc.setAllowableGap(0);
  cbc.setAllowableFractionGap(0);
  CbcStopper stopper(limit);
  cbc.passInEventHandler(&stopper);
  cbc.setMaximumSeconds(limit.seconds_left());
  CglProbing probing;
  CglGomory gomory;
  CglMixedIntegerRounding2 rounding;
  probing.setUsingObjective(1);
  cbc.addCutGenerator(&probing, -1, "probing");
  cbc.addCutGenerator(&gomory, -1, "gomory");
  cbc.addCutGenerator(&rounding, -1, "rounding");
  cbc.branchAndBound();
  WholeSolution solution;
  solution.found = cbc.bestSolution() != nullptr;
  solution.optimal = solution.found && cbc.isProvenOptimal();
  if (solution.found) {
    solution.values.assign(cbc.bestSolution(), cbc.bestSolution() + program.num_columns());
  }
  return solution;
}

}  // namespace kvplace
