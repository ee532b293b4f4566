/// The cheapest path of one block while all others stay where they are.
#pragma once

#include <span>
#include <vector>

#include "base/room_tree.h"
#include "solve/path_plan/loads.h"
#include "solve/path_plan/paths.h"

namespace kvplace {

/// What a block adds to a group.
struct GroupShare {
  std::uint32_t group = 0;
  GroupLoad load;
};

/// Shortest paths over a block's uses. Steps are priced at what they truly cost more, capacity is kept at every
/// boundary, and time near costs `holding` besides. Costs of moves in a group where the block does something else as
/// well are added up, which is not exact: the caller compares what paths truly cost.
class PathSearch {
 public:
  PathSearch(const Instance& instance, const PlanUses& uses, const PlanLoads& loads, const RoomTree& rows)
      : instance_(instance), uses_(uses), loads_(loads), rows_(rows), num_steps_(uses.num_steps()) {}

  /// By boundary, seconds for a byte near up to it: holding[r] is the sum over boundaries below r. Not owned.
  void set_holding(std::span<const double> holding) { holding_ = holding; }

  /// What the block adds to groups along `path`, in order of groups.
  void shares(std::uint32_t block, const std::vector<NearTime>& path, std::vector<GroupShare>& shares) const;
  /// REQUIRES: `rows` without the block; `own`: the block's shares in the loads; `first_is_near`: at a given start.
  void find(std::uint32_t block, std::span<const GroupShare> own, bool first_is_near, std::vector<NearTime>& path);
  /// What `path` costs in holding.
  [[nodiscard]] double holding_cost(std::uint32_t block, const std::vector<NearTime>& path) const;

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;

  /// From the use before to a use: how the block is there, and what came before.
  struct Segment {
    std::uint32_t near_leaves = kNone;  ///< near at its end after leaving in this step
    std::uint32_t near_enters = kNone;  ///< and entering in this one; kNone: held, if it came from near
    std::uint32_t far_leaves = kNone;
    bool near_from_near = false;
    bool far_from_near = false;
  };
  struct Costs {
    double far;
    double near;
  };
  /// Moves in the step of the use itself.
  struct MovesAtUse {
    double promote = LeastTree::Found().price;
    double demote = LeastTree::Found().price;
  };

  [[nodiscard]] double held(std::uint32_t first, std::uint32_t last) const {
    return static_cast<double>(size_.value()) * (holding_[last + 1] - holding_[first]);
  }
  [[nodiscard]] GroupLoad own_in(std::uint32_t group) const;
  [[nodiscard]] GroupLoad of_use(const BlockUse& use, bool near) const;
  MovesAtUse pass_use(const BlockUse& use, Costs& costs) const;
  void pass_time(std::uint32_t first, std::uint32_t end, const MovesAtUse& at_use, bool use_moves, Costs& costs);
  void trace_back(bool near, std::uint32_t begin, std::uint32_t last, std::vector<NearTime>& path) const;

  const Instance& instance_;
  const PlanUses& uses_;
  const PlanLoads& loads_;
  const RoomTree& rows_;
  std::uint32_t num_steps_;
  std::span<const double> holding_;
  std::span<const GroupShare> own_;
  Bytes size_;
  std::vector<Segment> segments_;
};

}  // namespace kvplace
