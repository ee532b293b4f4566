#include "solve/flow/flow_piece.h"

#include <algorithm>

#include "solve/flow/min_cost_flow.h"

namespace kvplace {
namespace {

/// Near room flows backward in time from boundary to boundary; a gap takes its blocks' places out of that flow at its
/// end and returns them at its beginning (held), where the blocks arrive (promoted), or at once (missed).
class Piece {
 public:
  Piece(const PieceRange& range, std::span<const GapClass> inside, std::span<const CrossingGap> crossing,
        const StepCosts& costs, std::int64_t capacity, bool free_start)
      : range_(range),
        steps_(range.end - range.first),
        inside_(inside),
        crossing_(crossing),
        costs_(costs),
        supply_(5 * std::size_t{steps_} + 1, 0),
        beginning_(std::size_t{steps_} + 1, 0) {
    add_time(capacity, free_start);
    add_inside();
    add_crossing();
    add_stays();
  }

  PieceResult solve() {
    PieceResult result;
    const FlowSolution flow = min_cost_flow(supply_, arcs_);
    result.optimal = flow.optimal;
    if (!flow.optimal) {
      return result;
    }
    take_prices(flow);
    take_arrivals(flow, result);
    return result;
  }

 private:
  // Nodes, with boundaries and steps of the whole trace.
  [[nodiscard]] std::uint32_t near_node(std::uint32_t boundary) const { return boundary - range_.first; }
  [[nodiscard]] std::uint32_t load_node(std::uint32_t step) const { return steps_ + 1 + step - range_.first; }
  /// Where gaps that end in the step leave the near side.
  [[nodiscard]] std::uint32_t end_node(std::uint32_t step) const { return 2 * steps_ + 1 + step - range_.first; }
  /// Promotions before the boundary, which is not the first.
  [[nodiscard]] std::uint32_t promotion_node(std::uint32_t boundary) const {
    return 3 * steps_ + boundary - range_.first;
  }
  /// Where gaps begin at the boundary, which is not the first.
  [[nodiscard]] std::uint32_t begin_node(std::uint32_t boundary) const { return 4 * steps_ + boundary - range_.first; }

  std::size_t add(std::uint32_t from, std::uint32_t to, std::int64_t capacity, std::int64_t cost) {
    arcs_.push_back({from, to, capacity, cost});
    return arcs_.size() - 1;
  }

  void add_time(std::int64_t capacity, bool free_start) {
    supply_[near_node(range_.end)] += capacity;
    supply_[near_node(range_.first)] -= capacity;
    if (range_.first == 0 && !free_start) {  // what is near at a given start has room
      add(near_node(0), near_node(1), kWithoutEnd, 0);
    }
    for (std::uint32_t step = range_.first; step < range_.end; ++step) {
      add(near_node(step + 1), near_node(step), kWithoutEnd, 0);
      for (const MissSlope& slope : costs_.misses(step)) {
        add(load_node(step), begin_node(step + 1), slope.misses, slope.each);
      }
      add(end_node(step), load_node(step), kWithoutEnd, 0);
      free_promotions_.push_back(add(promotion_node(step + 1), load_node(step), costs_.free_promotions(step), 0));
      promotions_.push_back(add(promotion_node(step + 1), load_node(step), kWithoutEnd,
                                std::max(std::int64_t{0}, costs_.promotion(step) - costs_.stay(step))));
      if (step > range_.first) {
        promoted_.push_back(add(end_node(step), promotion_node(step), kWithoutEnd, 0));
        add(promotion_node(step + 1), promotion_node(step), kWithoutEnd, 0);
      }
    }
  }
  /// A gap's arc away from being held, or none if it cannot be.
  std::size_t add_gap(const GapClass& gap, std::uint32_t end, std::uint32_t away) {
    const std::int64_t blocks = gap.blocks;
    supply_[near_node(end)] -= blocks;
    if (!gap.may_hold && range_.first == 0) {
      supply_[away] += blocks;
      return kNoArc;
    }
    const std::uint32_t boundary = std::max(gap.from, range_.first);
    const std::uint32_t from = boundary == range_.first ? near_node(boundary) : begin_node(boundary);
    beginning_[boundary - range_.first] += blocks;
    supply_[from] += blocks;
    return add(from, away, blocks, 0);
  }
  void add_inside() {
    away_.reserve(inside_.size());
    for (const GapClass& gap : inside_) {
      away_.push_back(add_gap(gap, gap.to + 1, end_node(gap.to)));
    }
  }
  void add_crossing() {
    for (const CrossingGap& crossing : crossing_) {
      const auto node = static_cast<std::uint32_t>(supply_.size());
      supply_.push_back(0);
      (void)add_gap(crossing.gap, range_.end, node);
      crossing_promoted_.push_back(add(node, promotion_node(range_.end), kWithoutEnd, 0));
      crossing_dropped_.push_back(add(node, near_node(range_.end), kWithoutEnd, crossing.value));
    }
  }
  /// Blocks missed in a step are those that leave behind it, as far as any do; others take room that a promotion pays.
  void add_stays() {
    for (std::uint32_t step = range_.first; step < range_.end; ++step) {
      add(begin_node(step + 1), near_node(step + 1), beginning_[step + 1 - range_.first] + costs_.free_stays(step), 0);
      add(begin_node(step + 1), near_node(step + 1), kWithoutEnd, costs_.stay(step));
    }
  }

  void take_prices(const FlowSolution& flow) {
    std::int64_t sum = 0;  // of rows
    std::int64_t cheapest = kWithoutEnd;
    values_.clear();
    for (std::uint32_t step = range_.keep; step < range_.end; ++step) {
      const std::int64_t row = flow.price[near_node(step + 1)] - flow.price[near_node(step)];
      const std::int64_t miss = flow.price[near_node(step + 1)] - flow.price[load_node(step)];
      sum += row;  // of boundaries up to `step`
      values_.push_back(std::max(std::int64_t{0}, std::min(miss - sum, cheapest)));
      cheapest = std::min(cheapest, miss + costs_.promotion(step) - sum);
    }
    rows_in_all_ = sum;
    cheapest_promotion_ = cheapest;
  }
  /// What being near at `keep` is worth to a gap that goes on there.
  [[nodiscard]] std::int64_t value_of(const GapClass& gap) const { return values_[gap.to - range_.keep]; }
  [[nodiscard]] std::int64_t value_of(const CrossingGap& crossing) const {
    return std::max(std::int64_t{0}, std::min(crossing.value - rows_in_all_, cheapest_promotion_));
  }

  /// Promotions nobody has taken yet, the last first.
  class Promotions {
   public:
    void add(std::uint32_t step, std::int64_t blocks) {
      if (blocks > 0) {
        items_.push_back({step, blocks});
      }
    }
    [[nodiscard]] std::uint32_t step() const { return items_.back().step; }
    std::int64_t take(std::int64_t most) {
      const std::int64_t blocks = std::min(most, items_.back().blocks);
      items_.back().blocks -= blocks;
      if (items_.back().blocks == 0) {
        items_.pop_back();
      }
      return blocks;
    }

   private:
    struct Item {
      std::uint32_t step;
      std::int64_t blocks;
    };
    std::vector<Item> items_;
  };

  void take_arrivals(const FlowSolution& flow, PieceResult& result) {
    Promotions promotions;
    std::size_t i = 0;
    for (std::uint32_t step = range_.first; step < range_.end; ++step) {
      std::int64_t promoted = 0;
      if (step > range_.first) {
        promotions.add(step - 1, promoted_in(step - 1, flow));
        promoted = flow.flow[promoted_[step - 1 - range_.first]];
      }
      std::size_t end = i;
      while (end < inside_.size() && inside_[end].to == step) {
        ++end;
      }
      // Late promotions serve gaps that begin late.
      for (std::size_t at = end; at-- > i;) {
        const GapClass& gap = inside_[at];
        const std::int64_t away = away_[at] == kNoArc ? gap.blocks : flow.flow[away_[at]];
        const std::int64_t by_promotion = std::min(away, promoted);
        promoted -= by_promotion;
        const std::int64_t value = gap.to < range_.keep ? 0 : value_of(gap);
        const std::int64_t stay = promote(gap, by_promotion, value, promotions, result);
        arrive(gap, gap.to + 1, away - by_promotion, 0, result);
        hold(gap, gap.blocks - away + stay, value, result);
      }
      i = end;
    }
    promotions.add(range_.end - 1, promoted_in(range_.end - 1, flow));
    for (std::size_t c = 0; c < crossing_.size(); ++c) {
      const GapClass& gap = crossing_[c].gap;
      const std::int64_t by_promotion = flow.flow[crossing_promoted_[c]];
      const std::int64_t dropped = flow.flow[crossing_dropped_[c]];
      const std::int64_t stay = promote(gap, by_promotion, value_of(crossing_[c]), promotions, result);
      arrive(gap, gap.to + 1, dropped, 0, result);
      hold(gap, gap.blocks - by_promotion - dropped + stay, value_of(crossing_[c]), result);
    }
  }
  [[nodiscard]] std::int64_t promoted_in(std::uint32_t step, const FlowSolution& flow) const {
    return flow.flow[free_promotions_[step - range_.first]] + flow.flow[promotions_[step - range_.first]];
  }
  /// Gives a gap's blocks the last promotions there are. Returns how many there was room for before the gap began: they
  /// need not leave.
  std::int64_t promote(const GapClass& gap, std::int64_t blocks, std::int64_t value, Promotions& promotions,
                       PieceResult& result) const {
    std::int64_t stay = 0;
    while (blocks > 0) {
      const std::uint32_t when = promotions.step();
      const std::int64_t taken = promotions.take(blocks);
      blocks -= taken;
      if (when < gap.from) {
        stay += taken;
      } else {
        arrive(gap, when + 1, taken, value, result);
      }
    }
    return stay;
  }
  /// At least a trifle: what is near at the cut has its place behind it.
  static CrossingGap crossing(const GapClass& gap, std::int64_t blocks, std::int64_t value) {
    return {{gap.from, gap.to, static_cast<std::uint32_t>(blocks), gap.may_hold}, std::max(value, std::int64_t{1})};
  }

  void arrive(const GapClass& gap, std::uint32_t boundary, std::int64_t blocks, std::int64_t value,
              PieceResult& result) const {
    if (blocks == 0 || gap.to < range_.keep) {
      return;  // of the latter the next piece decides
    }
    if (boundary > range_.keep) {
      result.arrivals.push_back({gap.from, gap.to, boundary, static_cast<std::uint32_t>(blocks), gap.may_hold});
    } else {
      result.crossing.push_back(crossing(gap, blocks, value));
    }
  }
  void hold(const GapClass& gap, std::int64_t blocks, std::int64_t value, PieceResult& result) const {
    if (blocks > 0 && gap.to >= range_.keep && gap.from < range_.keep) {
      result.crossing.push_back(crossing(gap, blocks, value));
    }
  }

  static constexpr std::size_t kNoArc = SIZE_MAX;

  const PieceRange range_;
  const std::uint32_t steps_;
  std::span<const GapClass> inside_;
  std::span<const CrossingGap> crossing_;
  const StepCosts& costs_;
  std::vector<std::int64_t> supply_;
  std::vector<FlowArc> arcs_;
  std::vector<std::int64_t> beginning_;         // by boundary: blocks of gaps that begin there
  std::vector<std::size_t> free_promotions_;    // by step: the arc of those that cost nothing
  std::vector<std::size_t> promotions_;         // by step: the arc of its other promotions
  std::vector<std::size_t> promoted_;           // by step but the first: the arc of gaps' ends to promotions
  std::vector<std::size_t> away_;               // by gap inside
  std::vector<std::size_t> crossing_promoted_;  // by crossing gap
  std::vector<std::size_t> crossing_dropped_;
  std::vector<std::int64_t> values_;  // by step from `keep` on: see value_of()
  std::int64_t rows_in_all_ = 0;
  std::int64_t cheapest_promotion_ = 0;
};

}  // namespace

PieceResult solve_piece(const PieceRange& range, std::span<const GapClass> inside,
                        std::span<const CrossingGap> crossing, const StepCosts& costs, std::int64_t capacity,
                        bool free_start) {
  return Piece(range, inside, crossing, costs, capacity, free_start).solve();
}

}  // namespace kvplace
