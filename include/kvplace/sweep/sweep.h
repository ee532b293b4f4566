/// Many points, their results kept in a database as they come: `kvplace sweep`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/run_context.h"
#include "kvplace/sweep/compute.h"
#include "kvplace/sweep/study.h"

namespace kvplace {

struct SweepStatus {
  std::string name;
  std::string compute;
  std::uint64_t points = 0;
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
  std::uint64_t rows = 0;  ///< of the view sheet that hold a result
  double seconds = 0;      ///< that all points took, each its share of its pass
  struct Failure {
    std::string message;
    std::uint64_t points = 0;  ///< that it is of
  };
  std::vector<Failure> failures;  ///< the most frequent ones

  [[nodiscard]] std::uint64_t pending() const { return points - done - failed; }
};

/// The database of a sweep (docs/sweep_database.md): SQLite, written by one process at a time and readable by others
/// meanwhile. Every outcome is one transaction, so that a killed run leaves whole points and nothing else.
class SweepDatabase {
 public:
  /// Makes the file, or goes on with one that holds the same study. Errors: bad input if the file is no sweep's, of a
  /// newer kvplace, or holds another study or version's results; failed if it cannot be written, or another run does.
  [[nodiscard]] static Result<SweepDatabase> open(const std::string& path, const Study& study);
  /// To read it only.
  [[nodiscard]] static Result<SweepDatabase> open_to_read(const std::string& path);
  SweepDatabase(SweepDatabase&&) noexcept;
  ~SweepDatabase();

  /// Points without an outcome, ascending.
  [[nodiscard]] Result<std::vector<std::uint32_t>> pending() const;
  /// Failed points become pending again.
  [[nodiscard]] Status forget_failures();
  /// Keeps an outcome; one of a point that has one already is dropped. Bad input if its trace is not the one that
  /// points before it were computed from.
  [[nodiscard]] Status store(const PointOutcome& outcome);
  [[nodiscard]] Result<SweepStatus> status() const;
  /// The view sheet as CSV, in pieces.
  [[nodiscard]] Status write_csv(const std::function<Status(std::string_view)>& write) const;
  [[nodiscard]] Status write_csv_file(const std::string& path) const;
  /// After the last outcome: one file alone, readable from any place.
  [[nodiscard]] Status finish();

 private:
  struct State;
  explicit SweepDatabase(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Computes what is pending of a study, and keeps each outcome at once. Errors of points are rows of the database;
/// errors here: those of the database, and interrupted, with what was done kept.
[[nodiscard]] Status run_sweep(const Study& study, SweepDatabase& database, const RunContext& context);

/// The same in one call.
[[nodiscard]] Result<SweepStatus> sweep(const Study& study, const std::string& path, const RunContext& context);

}  // namespace kvplace
