#include "solve/path_plan/path_search.h"

#include <algorithm>

namespace kvplace {
namespace {

constexpr double kImpossible = LeastTree::Found().price;

}  // namespace

GroupLoad PathSearch::of_use(const BlockUse& use, bool near) const {
  const std::int64_t batch = instance_.options().batch;
  GroupLoad load;
  if (use.kind == UseKind::kRead) {
    load.loads.add(near ? Transfer::kReadNear : Transfer::kReadFar, use.bytes * batch, batch);
    load.mirrored = near ? MovableBytes{use.bytes, 1} * batch : MovableBytes{};
  } else if (instance_.options().mode == Mode::kExclusive) {
    const Bytes size = use.bytes * batch;
    load.loads.add(near ? Transfer::kWriteNear : Transfer::kWriteFar, size, size.value() > 0 ? batch : 0);
  }
  return load;
}

void PathSearch::shares(std::uint32_t block, const std::vector<NearTime>& path, std::vector<GroupShare>& shares) const {
  shares.clear();
  const auto add = [&](std::uint32_t step, const GroupLoad& load) {
    const std::uint32_t group = loads_.group_of(step);
    if (shares.empty() || shares.back().group != group) {
      shares.push_back({group, {}});
    }
    shares.back().load += load;
  };
  const std::size_t num_uses = uses_.count(block);
  const Bytes size = instance_.block_bytes(BlockIndex(block));
  std::size_t i = 0;
  const auto add_far_uses = [&](std::uint32_t end) {
    for (; i < num_uses && uses_.use(block, i).step < end; ++i) {
      const BlockUse use = uses_.use(block, i);
      add(use.step, of_use(use, false));
    }
  };
  for (const NearTime& time : path) {
    if (time.first > 0) {
      const std::uint32_t step = time.first - 1;
      add_far_uses(step);
      bool born = false;
      Bytes read(0);
      for (; i < num_uses && uses_.use(block, i).step == step; ++i) {
        const BlockUse use = uses_.use(block, i);
        born = born || use.kind == UseKind::kBirth;
        read = use.kind == UseKind::kRead ? use.bytes : read;
        add(step, of_use(use, born));
      }
      if (!born) {
        add(step, loads_.promotion(size, read));
      }
    }
    for (; i < num_uses && uses_.use(block, i).step <= time.last; ++i) {
      const BlockUse use = uses_.use(block, i);
      add(use.step, of_use(use, true));
    }
    if (time.last < instance_.last_boundary(BlockIndex(block)) && instance_.options().mode == Mode::kExclusive) {
      add(time.last, loads_.demotion(size));
    }
  }
  add_far_uses(num_steps_);
}

double PathSearch::holding_cost(std::uint32_t block, const std::vector<NearTime>& path) const {
  double sum = 0;
  for (const NearTime& time : path) {
    sum += holding_[time.last + 1] - holding_[time.first];
  }
  return sum * static_cast<double>(instance_.block_bytes(BlockIndex(block)).value());
}

GroupLoad PathSearch::own_in(std::uint32_t group) const {
  const auto at = std::lower_bound(own_.begin(), own_.end(), group,
                                   [](const GroupShare& share, std::uint32_t c) { return share.group < c; });
  return at != own_.end() && at->group == group ? at->load : GroupLoad();
}

/// The use itself, then what moving right in its step costs.
PathSearch::MovesAtUse PathSearch::pass_use(const BlockUse& use, Costs& costs) const {
  const std::uint32_t group = loads_.group_of(use.step);
  const GroupLoad others = GroupLoad() - own_in(group);
  GroupLoad if_near = of_use(use, true);
  GroupLoad if_far = of_use(use, false);
  if_near += others;
  if_far += others;
  const double near_time = loads_.time_with(group, if_near);
  const double far_time = loads_.time_with(group, if_far);
  costs.near += near_time - far_time;
  MovesAtUse moves;
  if (use.kind == UseKind::kBirth) {
    return moves;
  }
  if_far += loads_.promotion(size_, use.kind == UseKind::kRead ? use.bytes : Bytes(0));
  moves.promote = loads_.time_with(group, if_far) - far_time;
  moves.demote = 0;
  if (instance_.options().mode == Mode::kExclusive) {
    if_near += loads_.demotion(size_);
    moves.demote = loads_.time_with(group, if_near) - near_time;
  }
  return moves;
}

/// The boundaries first ... end, from the step before the first (if `use_moves`) to the step before the last.
void PathSearch::pass_time(std::uint32_t first, std::uint32_t end, const MovesAtUse& at_use, bool use_moves,
                           Costs& costs) {
  const std::int64_t size = size_.value();
  std::uint32_t first_full = rows_.first_full(first, size);
  first_full = std::min(first_full, end + 1);
  const bool room = first_full > end;
  const std::uint32_t last_full = room ? first : rows_.last_full(end, size);

  // Leaving: near at first ... step.
  double leave = use_moves ? at_use.demote : kImpossible;
  std::uint32_t leave_step = first - 1;
  const auto consider_leave = [&](double price, std::uint32_t step) {
    if (price + held(first, step) < leave) {
      leave = price + held(first, step);
      leave_step = step;
    }
  };
  // Entering: near at step + 1 ... end.
  double enter = use_moves && room ? at_use.promote + held(first, end) : kImpossible;
  std::uint32_t enter_step = first - 1;
  const auto consider_enter = [&](double price, std::uint32_t step) {
    if (price + held(step + 1, end) < enter) {
      enter = price + held(step + 1, end);
      enter_step = step;
    }
  };
  if (first < end) {
    if (instance_.options().mode == Mode::kInclusive) {
      if (!use_moves && first_full > first) {
        consider_leave(0, first);
      }
    } else if (first_full > first) {
      const PlanLoads::Step found = loads_.cheapest_demotion(size_, first, std::min(end, first_full) - 1);
      consider_leave(found.price, found.step);
    }
    if (last_full < end) {
      const PlanLoads::Step found = loads_.cheapest_promotion(size_, std::max(first, last_full), end - 1);
      consider_enter(found.price, found.step);
    }
  }

  Segment segment;
  Costs after{costs.far, costs.far + enter};
  segment.near_enters = enter_step;
  if (room && costs.near + held(first, end) <= after.near) {
    after.near = costs.near + held(first, end);
    segment.near_from_near = true;
    segment.near_enters = kNone;
  }
  if (leave_step + 1 < enter_step + 1 && costs.near + leave + enter < after.near) {
    after.near = costs.near + leave + enter;
    segment.near_from_near = true;
    segment.near_leaves = leave_step;
    segment.near_enters = enter_step;
  }
  if (costs.near + leave < after.far) {
    after.far = costs.near + leave;
    segment.far_from_near = true;
    segment.far_leaves = leave_step;
  }
  costs = after;
  segments_.push_back(segment);
}

void PathSearch::find(std::uint32_t block, std::span<const GroupShare> own, bool first_is_near,
                      std::vector<NearTime>& path) {
  own_ = own;
  size_ = instance_.block_bytes(BlockIndex(block));
  segments_.clear();
  path.clear();
  const std::size_t num_uses = uses_.count(block);
  const bool initial = instance_.id_of(BlockIndex(block)).value() < instance_.layout().initial_blocks();
  if (!initial && (num_uses == 0 || uses_.use(block, 0).kind != UseKind::kBirth)) {
    return;  // never exists
  }
  const std::uint32_t end = instance_.last_boundary(BlockIndex(block));
  Costs costs{0, 0};
  std::uint32_t first = 0;
  std::size_t i = 0;
  if (!initial) {
    const BlockUse birth = uses_.use(block, 0);
    (void)pass_use(birth, costs);
    first = birth.step + 1;
    if (first > end) {
      return;  // gone with the step that writes it
    }
    i = 1;
  } else if (instance_.options().start != Start::kFree) {
    (first_is_near ? costs.far : costs.near) = kImpossible;
  }
  const std::uint32_t begin = first;
  MovesAtUse moves;
  bool use_moves = false;
  for (; i < num_uses; ++i) {
    const BlockUse use = uses_.use(block, i);
    pass_time(first, use.step, moves, use_moves, costs);
    moves = pass_use(use, costs);
    first = use.step + 1;
    use_moves = true;
  }
  if (first <= end) {  // not gone with its last use
    pass_time(first, end, moves, use_moves, costs);
  }
  trace_back(costs.near < costs.far, begin, end, path);
}

void PathSearch::trace_back(bool near, std::uint32_t begin, std::uint32_t last, std::vector<NearTime>& path) const {
  for (std::size_t i = segments_.size(); i-- > 0;) {
    const Segment& segment = segments_[i];
    if (near) {
      if (segment.near_enters != kNone || !segment.near_from_near) {
        path.push_back({segment.near_enters + 1, last});
        last = segment.near_leaves;
      }
      near = segment.near_from_near;
    } else {
      last = segment.far_leaves;
      near = segment.far_from_near;
    }
  }
  if (near) {
    path.push_back({begin, last});
  }
  std::reverse(path.begin(), path.end());
}

}  // namespace kvplace
