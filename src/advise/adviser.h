/// The work of advise(), part by part, within a time limit.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "advise/setup.h"
#include "size/search_progress.h"

namespace kvplace {

class Adviser {
 public:
  Adviser(const InstanceSpec& spec, const AdviseOptions& options, const RunContext& context);

  Result<Advice> run();

 private:
  /// The cases of a batch.
  struct Found {
    std::optional<Estimate> all_near;
    std::optional<Estimate> engine;
    std::vector<Estimate> policies;
  };

  Status prepare();
  Status find_room();
  Status time_points();
  Status find_batches();
  Status find_gains();
  Status find_gain_of_gpus(double now);
  Status find_sensitivity();
  /// Of the instance that the policies run on, in the time that is left.
  Status prove_points();

  [[nodiscard]] double seconds_left() const;
  [[nodiscard]] bool time_is_up() const { return seconds_left() < 0; }
  [[nodiscard]] std::uint64_t longest() const { return std::uint64_t{options_.context} + options_.output; }
  [[nodiscard]] std::uint32_t batch() const { return advice_.spec.options.batch; }
  /// The batch asked for, and some around it.
  [[nodiscard]] std::vector<std::uint32_t> batches() const;
  /// Whether the engine, or an ideal one, serves so many requests with far memory's help.
  [[nodiscard]] bool fits_with_far(std::uint32_t n) const;
  static Result<Found> add(Bench& bench, const Setup& setup, std::uint32_t n);
  static const Estimate* fastest(const Bench& bench, const std::vector<Estimate>& estimates);
  /// About `left` passes come after it.
  Status run(Bench& bench, double left);
  /// A step of the engine; infinite if it does not fit.
  Result<double> engine_step(std::uint32_t n);
  /// The least batch, in whole groups, above `low` for which `holds`, if it does for `high`; by bisection.
  template <class Holds>
  Result<std::optional<std::uint32_t>> least(std::uint32_t low, std::uint32_t high, const Holds& holds);
  /// What is asked for, on another setup: the engine, or the best policy with `more` bytes of near memory on each GPU.
  Result<std::optional<Estimate>> same(Bench& bench, const Setup& setup, std::uint32_t n, double more = 0,
                                       bool of_policy = false) const;

  // Work in passes over the trace, about, for the bar.
  static constexpr double kPassesOfBound = 10;
  static constexpr double kPassesAfterBatches = 20 + 5 * kPassesOfBound;
  static constexpr double kPassesAfterPoints = 10 + kPassesAfterBatches;

  using Clock = std::chrono::steady_clock;

  const AdviseOptions& options_;
  SearchProgress progress_;
  RunContext context_;
  Clock::time_point begin_;
  Advice advice_;
  std::unique_ptr<Stands> stands_;
  std::unique_ptr<Setup> setup_;
  std::unique_ptr<Bench> bench_;
  std::vector<Found> found_;
  std::optional<Estimate> most_all_near_;
};

}  // namespace kvplace
