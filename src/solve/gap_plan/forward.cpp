#include "solve/gap_plan/forward.h"

#include <algorithm>

#include "solve/gap_plan/next_read_lists.h"
#include "solve/plan_pass.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kNone = IndexSet::kNone;

/// A block just missed, which it would cost a promotion to keep, is let go while fewer than this share of the misses
/// that near traffic hides at its next read are planned.
constexpr double kDropMisses = 0.9;
/// Of the gaps that are not held; what is missed beyond stays so.
constexpr std::size_t kMostGaps = std::size_t{1} << 25;

class Forward {
 public:
  Forward(const Instance& instance, const PlanCost& cost, PlanDraft& draft)
      : instance_(instance),
        cost_(cost),
        draft_(draft),
        capacity_(static_cast<std::uint64_t>(instance.capacity().value() / instance.mean_kv_block_bytes().value())),
        links_(instance.num_blocks(), kNone),
        blocks_(instance.num_blocks()),
        near_(cost.num_steps(), links_),
        far_(cost.num_steps(), links_),
        due_(cost.num_groups(), 0),
        overloaded_(cost.num_groups()) {
    draft_.counts.assign(cost.num_groups(), {});
    draft_.occupancy.assign(std::size_t{cost.num_steps()} + 2, 0);
  }

  void start(std::span<const std::uint32_t> first_reads) {
    const bool free_start = instance_.options().start == Start::kFree;
    std::vector<BlockIndex> near =
        instance_.options().start == Start::kFree ? std::vector<BlockIndex>() : instance_.initial_near();
    std::vector<bool> is_near(instance_.num_blocks(), false);
    for (const BlockIndex block : near) {
      is_near[block.value()] = true;
    }
    candidates_.clear();
    for (std::uint32_t b = 0; b < instance_.num_blocks(); ++b) {
      const bool exists = instance_.id_of(BlockIndex(b)).value() < instance_.layout().initial_blocks();
      const std::uint32_t first = first_reads[b];
      if (!exists || first == kNeverRead) {
        continue;
      }
      const std::uint32_t next = first * instance_.layers() + b / instance_.blocks_per_layer();
      blocks_[b].from = 0;
      blocks_[b].may_hold = free_start || is_near[b];
      if (blocks_[b].may_hold) {
        candidates_.push_back({next, b});
      } else {
        set_far(b, next);
      }
    }
    std::sort(candidates_.begin(), candidates_.end());
    for (const Candidate& c : candidates_) {
      occupied_ < capacity_ ? set_near(c.block, c.next) : set_far(c.block, c.next);
    }
  }

  Status visit(const Segment& segment) {
    ends_held_.assign(segment.num_reads(), std::byte{0});
    for_each_record(segment, [this](const StepView& record, std::uint32_t step, std::size_t first_read) {
      visit_step(record, step, first_read);
    });
    return {};
  }
  [[nodiscard]] std::span<const std::byte> ends_held() const { return ends_held_; }

  void finish() { draft_.sum_occupancy(); }

 private:
  struct Block {
    std::uint32_t from = 0;          ///< of the gap at hand
    std::uint32_t arrive = 0;        ///< boundary since which it is near, in this gap
    std::uint32_t last_gap = kNone;  ///< the latest of its gaps on the list
    bool near = false;
    bool began_with_miss = false;
    bool may_hold = true;
  };
  struct Candidate {
    std::uint32_t next;
    std::uint32_t block;
    auto operator<=>(const Candidate&) const = default;
  };

  void set_near(std::uint32_t block, std::uint32_t next) {
    blocks_[block].near = true;
    ++occupied_;
    near_.add(block, next);
  }
  void set_far(std::uint32_t block, std::uint32_t next) {
    blocks_[block].near = false;
    far_.add(block, next);
    const std::uint32_t group = cost_.group_of(next);
    if (++due_[group] > cost_.allowance(group)) {
      overloaded_.insert(group);
    }
  }
  std::uint32_t take_far(std::uint32_t step) {
    const std::uint32_t group = cost_.group_of(step);
    if (--due_[group] <= cost_.allowance(group)) {
      overloaded_.erase(group);
    }
    return far_.take(step);
  }
  /// The near block read last leaves.
  void evict_farthest() {
    const std::uint32_t step = near_.steps().last();
    const std::uint32_t block = near_.take(step);
    --occupied_;
    if (blocks_[block].arrive != blocks_[block].from) {  // its promotion was in vain and is not made
      --draft_.counts[cost_.group_of(blocks_[block].arrive - 1)].prefetches;
    }
    set_far(block, step);
  }
  [[nodiscard]] bool wants_drop(const Block& block, std::uint32_t next) const {
    const std::uint32_t group = cost_.group_of(next);
    return block.began_with_miss && due_[group] < kDropMisses * cost_.allowance(group);
  }

  /// The gap of a block that is read at `step` ends.
  void end_gap(std::uint32_t b, std::uint32_t step, std::size_t read) {
    Block& block = blocks_[b];
    const bool held = block.near && block.arrive == block.from;
    Gap* last = block.last_gap == kNone ? nullptr : &draft_.gaps[block.last_gap];
    const bool follows = last != nullptr && last->to + 1 == block.from;
    GroupCounts& counts = draft_.counts[cost_.group_of(step)];
    if (held) {
      ++draft_.held;
      ends_held_[read] = std::byte{1};
      ++draft_.occupancy[block.from];
      --draft_.occupancy[step + 1];
      if (block.began_with_miss) {
        ++draft_.counts[cost_.group_of(block.from - 1)].promotions;
      }
      if (follows) {
        last->next_is_held = true;
      }
      return;
    }
    const std::uint32_t arrive = block.near ? block.arrive : step + 1;
    ++draft_.occupancy[arrive];
    --draft_.occupancy[step + 1];
    ++(block.near ? draft_.prefetched : draft_.missed);
    counts.misses += block.near ? 0 : 1;
    // Gaps beyond the limit stay as they are; those prefetched must be known when the schedule is written.
    if (block.near || draft_.gaps.size() < kMostGaps) {
      const auto index = static_cast<std::uint32_t>(draft_.gaps.size());
      Gap gap{b, block.from, step, arrive};
      gap.begins_with_miss = block.began_with_miss;
      gap.may_hold = block.may_hold;
      if (follows) {
        gap.previous = block.last_gap;
        last->next = index;
      }
      block.last_gap = index;
      draft_.gaps.push_back(gap);
    }
  }
  void begin_gap(std::uint32_t b, std::uint32_t step, bool missed) {
    Block& block = blocks_[b];
    block.from = step + 1;
    block.arrive = step + 1;
    block.began_with_miss = missed;
    block.may_hold = true;
  }

  void visit_step(const StepView& record, std::uint32_t step, std::size_t first_read) {
    near_.drop(step);
    far_.drop(step);
    const std::uint32_t group = cost_.group_of(step);
    const std::uint32_t base = instance_.index(record.layer, BlockId(0)).value();
    const std::uint32_t layers = instance_.layers();
    const auto step_of = [&](std::uint32_t next) { return next * layers + record.layer.value(); };
    candidates_.clear();
    std::size_t a = 0;
    // The step's own hits come first: nothing enters in their place that is read later.
    for (std::size_t i = 0; i < record.reads.size(); ++i) {
      const std::uint32_t b = base + record.reads[i].value();
      while (a < record.appended.size() && record.appended[a] < record.reads[i]) {
        ++a;
      }
      if (a < record.appended.size() && record.appended[a] == record.reads[i]) {
        continue;
      }
      const std::uint32_t next = record.next_read[i];
      const bool hit = blocks_[b].near;
      end_gap(b, step, first_read + i);
      begin_gap(b, step, !hit);
      occupied_ -= hit ? 1 : 0;
      blocks_[b].near = false;
      if (next == kNeverRead) {
        continue;
      }
      if (hit) {
        set_near(b, step_of(next));
      } else {
        candidates_.push_back({step_of(next), b});
      }
    }
    for (std::size_t i = 0; i < record.appended.size(); ++i) {
      const std::uint32_t b = base + record.appended[i].value();
      if (record.appended[i].value() >= instance_.layout().initial_blocks() && !born(b)) {
        begin_gap(b, step, false);
        if (record.next_read_appended[i] != kNeverRead) {
          candidates_.push_back({step_of(record.next_read_appended[i]), b});
        }
      }
    }
    std::sort(candidates_.begin(), candidates_.end());
    for (const Candidate& c : candidates_) {
      if (capacity_ == 0 || wants_drop(blocks_[c.block], c.next)) {
        set_far(c.block, c.next);
        continue;
      }
      if (occupied_ >= capacity_) {
        if (near_.steps().last() == kNone || near_.steps().last() <= c.next) {
          set_far(c.block, c.next);
          continue;
        }
        evict_farthest();
      }
      set_near(c.block, c.next);
    }
    if (capacity_ > 0 && draft_.gaps.size() < kMostGaps && cost_.ends_group(step)) {
      prefetch(group, step);
    }
  }

  /// Births are in order of id within a request, so a block without a gap yet is born now.
  bool born(std::uint32_t b) {
    if (born_.empty()) {
      born_.assign(instance_.num_blocks(), false);
    }
    const bool before = born_[b];
    born_[b] = true;
    return before;
  }

  /// Blocks read in overloaded groups come back while that costs less here than it saves there.
  void prefetch(std::uint32_t group, std::uint32_t step) {
    GroupCounts& counts = draft_.counts[group];
    double now = cost_.time(group, counts);
    for (;;) {
      const std::uint32_t target = overloaded_.from(std::size_t{group} + 1);
      if (target == kNone) {
        return;
      }
      const std::uint32_t due = far_.steps().from(std::max(step + 1, cost_.first_step_of(target)));
      const std::uint32_t farthest = near_.steps().last();
      if (due == kNone || (occupied_ >= capacity_ && (farthest == kNone || cost_.group_of(farthest) <= target))) {
        return;
      }
      const auto misses = static_cast<std::int32_t>(due_[target]);
      const double saved = cost_.time(target, {misses, 0, 0}) - cost_.time(target, {misses - 1, 0, 0});
      const double then = cost_.time(group, counts + GroupCounts{0, 1, 0});
      if (then - now >= saved) {
        return;
      }
      now = then;
      const std::uint32_t block = take_far(due);
      if (occupied_ >= capacity_) {
        evict_farthest();
      }
      // What this very step read from far, or had near, or is born, is kept rather than fetched.
      counts.prefetches += blocks_[block].from == step + 1 ? 0 : 1;
      blocks_[block].arrive = step + 1;
      set_near(block, due);
    }
  }

  const Instance& instance_;
  const PlanCost& cost_;
  PlanDraft& draft_;
  std::uint64_t capacity_;  // blocks
  std::uint64_t occupied_ = 0;
  std::vector<std::uint32_t> links_;
  std::vector<Block> blocks_;
  NextReadLists near_;
  NextReadLists far_;
  std::vector<std::uint32_t> due_;  // by group: far blocks read there next
  IndexSet overloaded_;             // groups where more are due than near traffic hides
  std::vector<bool> born_;
  std::vector<Candidate> candidates_;
  std::vector<std::byte> ends_held_;
};

}  // namespace

Result<PlanDraft> draft_plan(const TraceReader& trace, const Instance& instance, const PlanCost& cost,
                             const NextReads& next_reads, const RunContext& context) {
  KVPLACE_ASSIGN(spool, ChunkSpool::create(trace.num_chunks()));
  PlanDraft draft(std::move(spool));
  Forward forward(instance, cost, draft);
  forward.start(next_reads.first_reads());
  KVPLACE_TRY(plan_pass(trace, &next_reads, context, "planning", [&](std::size_t chunk, const Segment& segment) {
    const Status done = forward.visit(segment);
    return done ? draft.held_spool.put(chunk, forward.ends_held()) : done;
  }));
  forward.finish();
  return draft;
}

}  // namespace kvplace
