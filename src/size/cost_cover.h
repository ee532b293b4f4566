/// The certified bound of all divisions of a cost.
#pragma once

#include <array>
#include <span>
#include <utility>
#include <vector>

#include "size/cost_line.h"

namespace kvplace {

/// No division of the cost is faster than the least, over a cover of all shares by intervals, of the bound with the
/// near capacity of an interval's upper end and the link of its lower end: both are at least what any share in it buys.
/// An interval has the perfect split, which no bound is below, until it could be the fastest: then it is evaluated.
class CostCover {
 public:
  CostCover(Evaluator& evaluator, const CostLine& line, double after)
      : evaluator_(evaluator), line_(line), after_(after) {}

  Status run();
  /// The least time of any schedule with a share; 0 where none is known.
  [[nodiscard]] Seconds bound_at(double share) const;
  [[nodiscard]] Seconds least() const;
  /// By the lower end of an interval.
  [[nodiscard]] Probes probes() const;

 private:
  struct Interval {
    double low = 0;
    double high = 0;
    Instance instance;
    SizeProbe probe;
    bool evaluated = false;
  };

  /// Of those that are as fast the one with the fastest link.
  static bool is_faster(const Interval& a, const Interval& b) {
    return std::pair(a.probe.total, a.low) < std::pair(b.probe.total, b.low);
  }
  static void set_time(Interval& interval, Seconds total);
  [[nodiscard]] double passes_left(int splits) const;

  Result<std::vector<Interval>> with_perfect_split(std::span<const std::pair<double, double>> parts, int splits_left);
  /// An interval whose bound is no more than the perfect split, which is that of the division at its upper end as well:
  /// if that has no other bound, an interval with that division is as fast however narrow it is.
  Result<bool> no_split_tells_more(const Interval& interval, int splits_left);
  /// A certificate proves a time that is straight in the capacity; a link faster by a factor divides a time by that at
  /// most.
  static void inherit(Interval& interval, const Interval& from, double capacity_price_s_per_byte);
  /// The fastest that was evaluated. REQUIRES: there is one.
  std::vector<Interval>::iterator fastest();
  /// Until none could be faster than the fastest evaluated, but for rounding. Two at once, whatever the number of
  /// threads: at a third and two thirds of those that could, since others inherit what is found.
  Status evaluate_fastest(int splits_left);

  Evaluator& evaluator_;
  const CostLine& line_;
  double after_;
  const Contender bound_{};
  std::vector<Interval> intervals_;
};

}  // namespace kvplace
