#include "solve/gap_plan/arrivals.h"

#include <algorithm>

#include "solve/plan_pass.h"

namespace kvplace {
namespace {

class Drafter {
 public:
  Drafter(const Instance& instance, const PlanCost& cost, std::vector<Arrival> arrivals, PlanDraft& draft)
      : instance_(instance),
        cost_(cost),
        arrivals_(std::move(arrivals)),
        draft_(draft),
        blocks_(instance.num_blocks()) {
    std::sort(arrivals_.begin(), arrivals_.end(), [](const Arrival& a, const Arrival& b) {
      return a.to != b.to ? a.to < b.to : (a.from != b.from ? a.from < b.from : a.arrive < b.arrive);
    });
    draft_.counts.assign(cost.num_groups(), {});
    draft_.occupancy.assign(std::size_t{cost.num_steps()} + 2, 0);
    const bool free_start = instance.options().start == Start::kFree;
    for (std::uint32_t b = 0; b < instance.num_blocks(); ++b) {
      const bool exists = instance.id_of(BlockIndex(b)).value() < instance.layout().initial_blocks();
      blocks_[b].known = exists;
      blocks_[b].may_hold = !exists || free_start;
    }
    if (!free_start) {
      for (const BlockIndex block : instance.initial_near()) {
        blocks_[block.value()].may_hold = true;
      }
    }
  }

  void visit(const Segment& segment) {
    ends_held_.assign(segment.num_reads(), std::byte{0});
    for_each_record(segment, [this](const StepView& record, std::uint32_t step, std::size_t first_read) {
      visit_step(record, step, first_read);
    });
  }
  [[nodiscard]] std::span<const std::byte> ends_held() const { return ends_held_; }

  void finish() {
    draft_.sum_occupancy();
    for (const Gap& gap : draft_.gaps) {
      GroupCounts& counts = draft_.counts[cost_.group_of(std::min(gap.arrive - 1, gap.to))];
      counts = counts + (gap.missed() ? GroupCounts{1, 0, gap.next_is_held ? 1 : 0} : GroupCounts{0, 1, 0});
    }
  }

 private:
  struct Block {
    std::uint32_t from = 0;               ///< of the gap at hand
    std::uint32_t last_gap = Gap::kNone;  ///< the latest of its gaps on the list
    bool known = false;                   ///< it exists
    bool may_hold = true;
  };

  void visit_step(const StepView& record, std::uint32_t step, std::size_t first_read) {
    const std::uint32_t base = instance_.index(record.layer, BlockId(0)).value();
    while (next_ < arrivals_.size() && arrivals_[next_].to < step) {
      ++next_;
    }
    const std::size_t begin = next_;
    std::size_t end = begin;
    while (end < arrivals_.size() && arrivals_[end].to == step) {
      ++end;
    }
    const std::span<Arrival> here = std::span(arrivals_).subspan(begin, end - begin);
    // Of blocks that are alike those that were missed are let go first: keeping them costs a promotion.
    for (const bool missed : {true, false}) {
      std::size_t a = 0;
      for (std::size_t i = 0; i < record.reads.size(); ++i) {
        while (a < record.appended.size() && record.appended[a] < record.reads[i]) {
          ++a;
        }
        if (a < record.appended.size() && record.appended[a] == record.reads[i]) {
          continue;  // near by rule
        }
        const std::uint32_t b = base + record.reads[i].value();
        Block& block = blocks_[b];
        if (block.from == step + 1 || began_with_miss(block) != missed) {
          continue;
        }
        const std::uint32_t arrive = take(here, block);
        ends_held_[first_read + i] = std::byte{arrive == block.from ? std::uint8_t{1} : std::uint8_t{0}};
        end_gap(b, step, arrive);
        block.from = step + 1;
        block.may_hold = true;
      }
    }
    for (const BlockId id : record.appended) {
      Block& block = blocks_[base + id.value()];
      if (!block.known) {
        block.known = true;
        block.from = step + 1;
      }
    }
  }

  [[nodiscard]] bool began_with_miss(const Block& block) const {
    return block.last_gap != Gap::kNone && draft_.gaps[block.last_gap].to + 1 == block.from &&
           draft_.gaps[block.last_gap].missed();
  }
  /// When a block arrives that is read in a step with such arrivals: the gap's beginning if none is left for it.
  static std::uint32_t take(std::span<Arrival> here, const Block& block) {
    auto at = std::lower_bound(here.begin(), here.end(), block.from,
                               [](const Arrival& arrival, std::uint32_t from) { return arrival.from < from; });
    while (at != here.end() && at->from == block.from && (at->blocks == 0 || at->may_hold != block.may_hold)) {
      ++at;
    }
    if (at == here.end() || at->from != block.from) {
      return block.from;
    }
    --at->blocks;
    return at->arrive;
  }

  void end_gap(std::uint32_t b, std::uint32_t step, std::uint32_t arrive) {
    Block& block = blocks_[b];
    Gap* last = block.last_gap == Gap::kNone ? nullptr : &draft_.gaps[block.last_gap];
    const bool follows = last != nullptr && last->to + 1 == block.from;
    ++draft_.occupancy[arrive];
    --draft_.occupancy[step + 1];
    if (arrive == block.from) {
      ++draft_.held;
      if (follows) {
        last->next_is_held = true;
      }
      return;
    }
    ++(arrive > step ? draft_.missed : draft_.prefetched);
    Gap gap{b, block.from, step, arrive};
    gap.may_hold = block.may_hold;
    if (follows) {
      gap.previous = block.last_gap;
      last->next = static_cast<std::uint32_t>(draft_.gaps.size());
    }
    block.last_gap = static_cast<std::uint32_t>(draft_.gaps.size());
    draft_.gaps.push_back(gap);
  }

  const Instance& instance_;
  const PlanCost& cost_;
  std::vector<Arrival> arrivals_;
  PlanDraft& draft_;
  std::vector<Block> blocks_;
  std::size_t next_ = 0;  // of the arrivals
  std::vector<std::byte> ends_held_;
};

}  // namespace

Result<PlanDraft> draft_arrivals(const TraceReader& trace, const Instance& instance, const PlanCost& cost,
                                 std::vector<Arrival> arrivals, const RunContext& context) {
  KVPLACE_ASSIGN(spool, ChunkSpool::create(trace.num_chunks()));
  PlanDraft draft(std::move(spool));
  Drafter drafter(instance, cost, std::move(arrivals), draft);
  KVPLACE_TRY(plan_pass(trace, nullptr, context, "planning", [&](std::size_t chunk, const Segment& segment) {
    drafter.visit(segment);
    return draft.held_spool.put(chunk, drafter.ends_held());
  }));
  drafter.finish();
  return draft;
}

}  // namespace kvplace
