/// Loads of all groups while paths change: what a change costs, and where moving a block costs least.
#pragma once

#include <algorithm>
#include <vector>

#include "base/least_tree.h"
#include "solve/path_plan/uses.h"

namespace kvplace {

class PlanLoads {
 public:
  struct Step {
    double price = 0;  ///< seconds
    std::uint32_t step = 0;
  };

  PlanLoads(const Instance& instance, const PlanUses& uses);

  [[nodiscard]] double total() const;
  [[nodiscard]] std::uint32_t group_of(std::uint32_t step) const { return groups_.group_of(FlatStep(step)).value(); }
  [[nodiscard]] double time(std::uint32_t group) const { return times_[group]; }
  /// With `more` beside what is there, in seconds.
  [[nodiscard]] double time_with(std::uint32_t group, const GroupLoad& more) const {
    GroupLoad load = loads_[group];
    load += more;
    return time_of(load);
  }
  void add(std::uint32_t group, const GroupLoad& more);
  /// Finds the prices of moves, after which add() keeps them.
  void find_prices();

  /// Of the steps first ... last the one in which an active promotion costs least, the last of equals; infinity if
  /// first > last. `size`: of the block.
  [[nodiscard]] Step cheapest_promotion(Bytes size, std::uint32_t first, std::uint32_t last) const;
  /// The same for leaving near, the first of equals. Exclusive mode.
  [[nodiscard]] Step cheapest_demotion(Bytes size, std::uint32_t first, std::uint32_t last) const;
  /// Of all requests.
  [[nodiscard]] GroupLoad promotion(Bytes size, Bytes read_from_far) const;
  [[nodiscard]] GroupLoad demotion(Bytes size) const;
  /// A read of whole bytes where far reads bind, in seconds.
  [[nodiscard]] double far_read_time() const;
  /// Below this times differ by rounding only, in seconds.
  [[nodiscard]] double tie() const { return tie_; }

 private:
  [[nodiscard]] double time_of(const GroupLoad& load) const;
  void price(std::uint32_t group);
  /// Blocks of one size are of one kind.
  [[nodiscard]] std::size_t kind_of(Bytes size) const {
    return static_cast<std::size_t>(std::lower_bound(sizes_.begin(), sizes_.end(), size) - sizes_.begin());
  }

  const Instance& instance_;
  StepGroups groups_;
  bool split_;
  bool priced_ = false;
  double tie_;
  std::vector<Bytes> sizes_;  // by kind, ascending
  std::vector<GroupLoad> loads_;
  std::vector<double> times_;
  std::vector<LeastTree> promotions_;  // by kind
  std::vector<LeastTree> demotions_;
};

}  // namespace kvplace
