#include "solve/gap_plan/improve.h"

#include <array>

#include "base/room_tree.h"
#include "kvplace/base/progress.h"
#include "solve/gap_plan/next_read_lists.h"
#include "solve/plan_tie.h"

namespace kvplace {
namespace {

class Improver {
 public:
  Improver(const PlanCost& cost, std::int64_t capacity, PlanDraft& draft, Progress* progress)
      : cost_(cost),
        progress_(progress),
        draft_(draft),
        gaps_(draft.gaps),
        counts_(draft.counts),
        rows_(std::span<const std::int32_t>(draft.occupancy), capacity),
        times_(cost.num_groups()),
        room_(cost.num_groups()) {
    for (std::uint32_t group = 0; group < cost.num_groups(); ++group) {
      times_[group] = cost_.time(group, counts_[group]);
      total_ += times_[group];
    }
    tie_ = kTie * cost.far_read_time();
    for (std::uint32_t group = 0; group < cost.num_groups(); ++group) {
      note_room(group);
    }
  }

  ImproveResult run(const StopPlanning& stop) {
    ImproveResult result;
    for (double before = total_ + 1; !result.complete; ++result.passes) {
      result.complete = before - total_ <= 1e-6 * total_;
      before = total_;
      if (result.complete) {
        break;
      }
      if (progress_ != nullptr) {
        report_figure(progress_, "pass", result.passes + 1);
        progress_->start("improving the plan", gaps_.size(), "gaps");
      }
      const bool whole = pass(stop);
      if (progress_ != nullptr) {
        progress_->finish();
      }
      if (!whole) {
        break;
      }
    }
    total_ = 0;
    for (const double time : times_) {
      total_ += time;
    }
    result.total = total_;
    return result;
  }

 private:
  struct Change {
    std::uint32_t group;
    GroupCounts by;
  };
  /// What a move changes: few groups, each named once.
  class Changes {
   public:
    void add(std::uint32_t group, GroupCounts by) {
      for (std::size_t i = 0; i < size_; ++i) {
        if (items_[i].group == group) {
          items_[i].by = items_[i].by + by;
          return;
        }
      }
      items_[size_++] = {group, by};
    }
    [[nodiscard]] const Change* begin() const { return items_.data(); }
    [[nodiscard]] const Change* end() const { return items_.data() + size_; }

   private:
    std::array<Change, 8> items_{};
    std::size_t size_ = 0;
  };

  [[nodiscard]] bool begins_with_miss(const Gap& gap) const {
    return gap.previous != Gap::kNone ? gaps_[gap.previous].missed() : gap.begins_with_miss;
  }
  [[nodiscard]] bool next_is_held(const Gap& gap) const {
    return gap.next != Gap::kNone ? gaps_[gap.next].held() : gap.next_is_held;
  }
  /// Adds `sign` times what the gap costs if the block arrives at `arrive`.
  void add_gap(const Gap& gap, std::uint32_t arrive, std::int32_t sign, Changes& changes) const {
    if (arrive == gap.from) {
      if (begins_with_miss(gap)) {
        changes.add(cost_.group_of(gap.from - 1), {0, 0, sign});
      }
    } else if (arrive > gap.to) {
      changes.add(cost_.group_of(gap.to), {sign, 0, next_is_held(gap) ? sign : 0});
    } else {
      changes.add(cost_.group_of(arrive - 1), {0, sign, 0});
    }
  }
  [[nodiscard]] double delta(const Changes& changes) const {
    double sum = 0;
    for (const Change& change : changes) {
      sum += cost_.time(change.group, counts_[change.group] + change.by) - times_[change.group];
    }
    return sum;
  }
  [[nodiscard]] double delta(const Gap& gap, std::uint32_t arrive) const {
    Changes changes;
    add_gap(gap, gap.arrive, -1, changes);
    add_gap(gap, arrive, 1, changes);
    return delta(changes);
  }
  /// How many gaps of the plan are like this one.
  std::uint64_t& number_like(const Gap& gap) {
    return gap.held() ? draft_.held : (gap.missed() ? draft_.missed : draft_.prefetched);
  }
  void move(Gap& gap, std::uint32_t arrive) {
    --number_like(gap);
    Changes changes;
    add_gap(gap, gap.arrive, -1, changes);
    add_gap(gap, arrive, 1, changes);
    for (const Change& change : changes) {
      counts_[change.group] = counts_[change.group] + change.by;
      total_ -= times_[change.group];
      times_[change.group] = cost_.time(change.group, counts_[change.group]);
      total_ += times_[change.group];
      note_room(change.group);
    }
    if (arrive < gap.arrive) {
      rows_.add(arrive, gap.arrive - 1, 1);
    } else {
      rows_.add(gap.arrive, arrive - 1, -1);
    }
    gap.arrive = arrive;
    ++number_like(gap);
  }
  void note_room(std::uint32_t group) {
    const double more = cost_.time(group, counts_[group] + GroupCounts{0, 1, 0}) - times_[group];
    room_.set(group, more < 0.5 * cost_.far_read_time());
  }

  /// The earliest boundary from which on the gap's block could be near as well up to `end` - 1.
  [[nodiscard]] std::uint32_t earliest(const Gap& gap, std::uint32_t end) const {
    if (end == 0) {
      return 0;
    }
    const std::uint32_t full = rows_.last_full(end - 1);
    const std::uint32_t first = full == RoomTree::kNone ? 0 : full + 1;
    return std::max(first, gap.may_hold ? gap.from : gap.from + 1);
  }

  bool pass(const StopPlanning& stop) {
    // From the end: what is fetched later makes room for what is needed before.
    for (std::size_t i = gaps_.size(); i-- > 0;) {
      if (i % 4096 == 0) {
        if (progress_ != nullptr) {
          progress_->update(gaps_.size() - i);
        }
        if (stop(total_)) {
          return false;
        }
      }
      delay(gaps_[i]);
      advance(gaps_[i]);
    }
    return true;
  }

  /// A prefetch becomes a miss, or as late as it can for the same price.
  void delay(Gap& gap) {
    if (gap.missed()) {
      return;
    }
    if (delta(gap, gap.to + 1) < (gap.held() ? -tie_ : tie_)) {
      move(gap, gap.to + 1);
      return;
    }
    if (gap.held()) {
      return;
    }
    const std::uint32_t latest = last_step_with_room(gap.to);
    if (latest != IndexSet::kNone && latest + 1 > gap.arrive && delta(gap, latest + 1) < tie_) {
      move(gap, latest + 1);
    }
  }

  /// A miss or a prefetch becomes a hold where there is capacity, or a miss becomes a prefetch.
  void advance(Gap& gap) {
    if (gap.held()) {
      return;
    }
    const std::uint32_t first = earliest(gap, gap.arrive);
    if (first >= gap.arrive) {
      return;
    }
    const double by_hold = first == gap.from ? delta(gap, gap.from) : 0;
    std::uint32_t best = gap.arrive;
    double least = -tie_;
    if (by_hold < least) {
      best = gap.from;
      least = by_hold;
    }
    if (gap.missed()) {
      const std::uint32_t latest = last_step_with_room(gap.to);
      if (latest != IndexSet::kNone && latest >= gap.from && latest + 1 >= first) {
        if (delta(gap, latest + 1) < least) {
          best = latest + 1;
        }
      }
    }
    if (best != gap.arrive) {
      move(gap, best);
    }
  }

  /// The last step before `step` whose group has room for one more prefetch.
  [[nodiscard]] std::uint32_t last_step_with_room(std::uint32_t step) const {
    const std::uint32_t group = room_.below(cost_.group_of(step));
    return group == IndexSet::kNone ? group : cost_.last_step_of(group);
  }

  const PlanCost& cost_;
  Progress* progress_;  // may be null
  PlanDraft& draft_;
  std::vector<Gap>& gaps_;
  std::vector<GroupCounts>& counts_;
  RoomTree rows_;
  std::vector<double> times_;
  IndexSet room_;  // groups
  double total_ = 0;
  double tie_ = 0;
};

}  // namespace

ImproveResult improve_plan(const PlanCost& cost, std::int64_t capacity, PlanDraft& draft, const StopPlanning& stop,
                           Progress* progress) {
  return Improver(cost, capacity, draft, progress).run(stop);
}

}  // namespace kvplace
