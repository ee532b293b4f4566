#include "solve/gap_plan/greedy.h"

#include <algorithm>
#include <array>

#include "base/earliest_tree.h"
#include "base/index_set.h"

namespace kvplace {
namespace {

/// Steps are told apart by what one more promotion costs in them, in shares of a far read.
constexpr std::array<double, 6> kPriceLevels{0.04, 0.12, 0.24, 0.5, 0.75, 0.95};
/// Below this level a step hides what is promoted in it, but for the near side's work.
constexpr std::size_t kHidden = 3;
/// Others leave instead of the block whose gap began first if that costs more than this share of a far read.
constexpr double kNearlyFree = 0.3;

class Greedy {
 public:
  Greedy(const std::vector<GapClass>& gaps, const PlanCost& cost, std::int64_t capacity, bool free_start)
      : gaps_(gaps),
        cost_(cost),
        capacity_(capacity),
        free_start_(free_start),
        counts_(cost.num_groups()),
        near_(gaps.size()),
        earliest_(gaps.size()) {
    for (IndexSet& groups : cheaper_) {
      groups = IndexSet(cost.num_groups());
    }
    for (std::uint32_t group = 0; group < cost.num_groups(); ++group) {
      note_price(group);
    }
  }

  std::optional<std::vector<Arrival>> run(const std::function<bool()>& stop) {
    std::size_t end = gaps_.size();
    beginning_.assign(std::size_t{cost_.num_steps()} + 2, 0);
    for (std::uint32_t step = cost_.num_steps(); step-- > 0;) {
      if (step % 1024 == 0 && stop()) {
        return std::nullopt;
      }
      occupied_ -= beginning_[std::size_t{step} + 1];
      while (end > 0 && gaps_[end - 1].to == step) {
        --end;
        near_[end] = gaps_[end].blocks;
        occupied_ += gaps_[end].blocks;
        beginning_[gaps_[end].from] += gaps_[end].blocks;
        earliest_.insert(end, gaps_[end].from);
      }
      if (step == 0 && !free_start_) {
        move_start();
        break;
      }
      while (occupied_ > capacity_) {
        make_room(step);
      }
    }
    return std::move(arrivals_);
  }

 private:
  struct Choice {
    std::uint32_t arrive = 0;
    double price = 0;  ///< in far reads
  };

  void note_price(std::uint32_t group) {
    const double more = cost_.time(group, counts_[group] + GroupCounts{0, 1, 0}) - cost_.time(group, counts_[group]);
    for (std::size_t level = 0; level < kPriceLevels.size(); ++level) {
      cheaper_[level].set(group, more < kPriceLevels[level] * cost_.far_read_time());
    }
  }

  /// The cheapest time for a block to arrive behind boundary `boundary`.
  [[nodiscard]] Choice best_of(const GapClass& gap, std::uint32_t boundary) const {
    const std::uint32_t group = cost_.group_of(gap.to);
    const double miss = cost_.time(group, counts_[group] + GroupCounts{1, 0, 0}) - cost_.time(group, counts_[group]);
    const Choice choice{gap.to + 1, miss / cost_.far_read_time()};
    for (std::size_t level = 0; level < kPriceLevels.size() && choice.price >= kPriceLevels[level]; ++level) {
      const std::uint32_t before = cheaper_[level].below(group);
      if (before != IndexSet::kNone && cost_.last_step_of(before) >= boundary) {
        return {cost_.last_step_of(before) + 1, kPriceLevels[level]};
      }
    }
    return choice;
  }
  void leave(std::uint32_t gap, const Choice& choice) {
    const GapClass& of = gaps_[gap];
    const std::uint32_t group = cost_.group_of(choice.arrive - 1);
    counts_[group] = counts_[group] + (choice.arrive > of.to ? GroupCounts{1, 0, 0} : GroupCounts{0, 1, 0});
    note_price(group);
    --near_[gap];
    if (near_[gap] == 0) {
      earliest_.erase(gap);
    }
    --occupied_;
    --beginning_[of.from];
    arrivals_.push_back({of.from, of.to, choice.arrive, 1, of.may_hold});
  }

  /// Blocks that a given start has far come later; those that are near there have room.
  void move_start() {
    for (std::size_t i = 0; i < gaps_.size(); ++i) {
      while (!gaps_[i].may_hold && near_[i] > 0) {
        leave(static_cast<std::uint32_t>(i), best_of(gaps_[i], 0));
      }
    }
  }
  /// The boundary before `step` holds too many.
  void make_room(std::uint32_t step) {
    const std::uint32_t earliest = earliest_.from(0);
    const Choice choice = best_of(gaps_[earliest], step);
    if (choice.price > kNearlyFree) {
      const std::uint32_t hidden = cheaper_[kHidden].from(cost_.group_of(step));
      if (hidden != IndexSet::kNone) {
        const std::uint32_t other = earliest_.from(first_ending(gaps_, cost_.last_step_of(hidden) + 1));
        if (other != EarliestTree::kNone && gaps_[other].from <= step) {
          leave(other, best_of(gaps_[other], step));
          return;
        }
      }
    }
    leave(earliest, choice);
  }

  const std::vector<GapClass>& gaps_;
  const PlanCost& cost_;
  std::int64_t capacity_;
  bool free_start_;
  std::vector<GroupCounts> counts_;
  std::vector<std::uint32_t> near_;      // by gap: blocks that have not left
  std::vector<std::int64_t> beginning_;  // by boundary: of them, those whose gap begins there
  std::array<IndexSet, kPriceLevels.size()> cheaper_;
  EarliestTree earliest_;  // of gaps with blocks near
  std::int64_t occupied_ = 0;
  std::vector<Arrival> arrivals_;
};

}  // namespace

std::optional<std::vector<Arrival>> greedy_arrivals(const std::vector<GapClass>& gaps, const PlanCost& cost,
                                                    std::int64_t capacity, bool free_start,
                                                    const std::function<bool()>& stop) {
  return Greedy(gaps, cost, capacity, free_start).run(stop);
}

}  // namespace kvplace
