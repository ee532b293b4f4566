#include "solve/gap_plan/thin.h"

#include <limits>

#include "base/parallel.h"
#include "solve/plan_pass.h"
#include "solve/plan_tie.h"

namespace kvplace {
namespace {

constexpr double kCannot = std::numeric_limits<double>::infinity();

/// How the gap that ends with a read goes: held, missed, or near at its end for what is not decided here: promoted, or
/// read in the first step of a given start.
enum class Way : std::uint8_t { kHeld, kMissed, kNear };

/// What it costs a group to do a little more or less than it does, in seconds.
struct GroupCosts {
  double miss = 0;    ///< a near read becomes a miss
  double enter = 0;   ///< and such a miss is promoted
  double leaves = 0;  ///< a miss that was promoted is not
};

class Thinning {
 public:
  Thinning(const Instance& instance, const PlanCost& cost, PlanDraft& draft)
      : instance_(instance),
        cost_(cost),
        draft_(draft),
        counts_(draft.counts),
        costs_(cost.num_groups()),
        listed_(instance.num_blocks(), Gap::kNone),
        before_(instance.num_blocks()),
        layers_(instance.layers()) {
    for (std::uint32_t group = 0; group < cost.num_groups(); ++group) {
      note_costs(group);
    }
  }

  /// `ends_held`: of the chunk's reads, as in the draft.
  Status visit(const Segment& segment, std::vector<std::byte>& ends_held, const RunContext& context) {
    list_reads(segment, ends_held);
    const bool apart = instance_.groups().layers_per_group() == 1;
    return run_parallel(layers_.size(), apart ? context.threads : 1, [&](std::size_t layer) -> Status {
      thin(layers_[layer], ends_held);
      return {};
    });
  }

  /// Makes the draft what was decided; returns the seconds saved.
  double finish() {
    double saved = 0;
    std::uint64_t let_go = 0;
    for (std::uint32_t group = 0; group < cost_.num_groups(); ++group) {
      saved += cost_.time(group, draft_.counts[group]) - cost_.time(group, counts_[group]);
      let_go += static_cast<std::uint64_t>(counts_[group].misses - draft_.counts[group].misses);
    }
    draft_.counts = std::move(counts_);
    draft_.held -= let_go;
    draft_.missed += let_go;
    for (const Layer& layer : layers_) {
      for (const std::uint32_t gap : layer.let_go) {
        draft_.gaps[gap].arrive = draft_.gaps[gap].to + 1;
      }
    }
    return saved;
  }

 private:
  /// That decides for itself where its block is.
  struct Read {
    std::uint32_t id = 0;
    std::uint32_t step = 0;
    std::uint32_t place = 0;         ///< among the chunk's
    std::uint32_t gap = Gap::kNone;  ///< on the draft's list
    Way way = Way::kHeld;            ///< as planned
    bool let_go = false;             ///< missed although held as planned
    bool held_from_hit = true;       ///< the cheapest path that holds the gap comes from one that held it before
    bool missed_from_hit = true;
  };
  struct Layer {
    std::vector<Read> reads;           ///< of a chunk, in order of time
    std::vector<Read> by_block;        ///< the same, block by block
    std::vector<std::uint32_t> first;  ///< [id]: of the block's
    std::vector<std::uint32_t> let_go;
  };

  void note_costs(std::uint32_t group) {
    const GroupCounts& counts = counts_[group];
    const double now = cost_.time(group, counts);
    const double missed = cost_.time(group, counts + GroupCounts{1, 0, 0});
    costs_[group].miss = missed - now;
    costs_[group].enter = cost_.time(group, counts + GroupCounts{1, 0, 1}) - missed;
    costs_[group].leaves = counts.promotions > 0 ? cost_.time(group, counts + GroupCounts{0, 0, -1}) - now : 0;
  }

  void list_reads(const Segment& segment, std::span<const std::byte> ends_held) {
    for (Layer& layer : layers_) {
      layer.reads.clear();
    }
    for_each_record(segment, [&](const StepView& record, std::uint32_t step, std::size_t first_read) {
      for (; next_gap_ < draft_.gaps.size() && draft_.gaps[next_gap_].to <= step; ++next_gap_) {
        listed_[draft_.gaps[next_gap_].block] = static_cast<std::uint32_t>(next_gap_);
      }
      const std::uint32_t base = instance_.index(record.layer, BlockId(0)).value();
      std::size_t a = 0;
      for (std::size_t i = 0; i < record.reads.size(); ++i) {
        const std::uint32_t id = record.reads[i].value();
        while (a < record.appended.size() && record.appended[a].value() < id) {
          ++a;
        }
        if (a < record.appended.size() && record.appended[a].value() == id) {
          continue;  // near by rule
        }
        Read read{id, step, static_cast<std::uint32_t>(first_read + i)};
        const std::uint32_t listed = listed_[base + id];
        if (listed != Gap::kNone && draft_.gaps[listed].to == step) {
          const Gap& gap = draft_.gaps[listed];
          read.gap = listed;
          read.way = gap.held() ? Way::kHeld : (gap.missed() ? Way::kMissed : Way::kNear);
        } else {
          read.way = ends_held[read.place] != std::byte{0} ? Way::kHeld : Way::kMissed;
        }
        if (read.way == Way::kHeld && step == 0 && instance_.options().start != Start::kFree) {
          read.way = Way::kNear;
        }
        layers_[record.layer.value()].reads.push_back(read);
      }
    });
  }

  void thin(Layer& layer, std::vector<std::byte>& ends_held) {
    layer.first.assign(std::size_t{instance_.blocks_per_layer()} + 2, 0);
    for (const Read& read : layer.reads) {
      ++layer.first[read.id + 2];
    }
    for (std::size_t id = 2; id < layer.first.size(); ++id) {
      layer.first[id] += layer.first[id - 1];
    }
    layer.by_block.resize(layer.reads.size());
    for (const Read& read : layer.reads) {
      layer.by_block[layer.first[read.id + 1]++] = read;
    }
    const auto index = static_cast<std::uint32_t>(&layer - layers_.data());
    const std::uint32_t base = instance_.index(LayerIndex(index), BlockId(0)).value();
    for (std::uint32_t id = 0; id < instance_.blocks_per_layer(); ++id) {
      const std::span<Read> reads =
          std::span(layer.by_block).subspan(layer.first[id], layer.first[id + 1] - layer.first[id]);
      if (!reads.empty()) {
        thin_block(reads, before_[base + id], layer, ends_held);
      }
    }
  }

  /// `before`: the block's last read in an earlier chunk.
  void thin_block(std::span<Read> reads, Read& before, Layer& layer, std::vector<std::byte>& ends_held) {
    const auto missed = [](const Read& read) { return read.way == Way::kMissed || read.let_go; };
    double hit = missed(before) ? kCannot : 0;
    double far = missed(before) ? 0 : kCannot;
    const Read* last = &before;
    for (Read& read : reads) {
      if (read.way == Way::kHeld) {
        // The plan promotes what it misses and then holds; what is let go is promoted where it is held again.
        const bool promoted = last->way == Way::kMissed;
        const GroupCosts& there = costs_[cost_.group_of(last->step)];
        const double held_again = far + (promoted ? 0 : there.enter);
        const double still_far = far + (promoted ? there.leaves : 0);
        read.held_from_hit = hit <= held_again;
        read.missed_from_hit = hit < still_far;
        far = std::min(hit, still_far) + costs_[cost_.group_of(read.step)].miss;
        hit = std::min(hit, held_again);
      } else {
        read.held_from_hit = read.missed_from_hit = hit <= far;
        const double least = std::min(hit, far);
        hit = read.way == Way::kMissed ? kCannot : least;
        far = read.way == Way::kMissed ? least : kCannot;
      }
      last = &read;
    }
    if (before.let_go || std::min(hit, far) < -kTie * cost_.far_read_time()) {
      take(reads, before, far < hit, layer, ends_held);
    }
    before = reads.back();
  }

  /// Back along the cheapest path.
  void take(std::span<Read> reads, const Read& before, bool is_far, Layer& layer, std::vector<std::byte>& ends_held) {
    for (std::size_t i = reads.size(); i-- > 0;) {
      Read& read = reads[i];
      read.let_go = is_far && read.way == Way::kHeld;
      is_far = !(is_far ? read.missed_from_hit : read.held_from_hit);
    }
    const Read* last = &before;
    for (const Read& read : reads) {
      if (read.way == Way::kHeld) {
        const std::int32_t promotions = !read.let_go && last->let_go               ? 1
                                        : read.let_go && last->way == Way::kMissed ? -1
                                                                                   : 0;
        if (promotions != 0) {
          add(cost_.group_of(last->step), {0, 0, promotions});
        }
      }
      if (read.let_go) {
        add(cost_.group_of(read.step), {1, 0, 0});
        ends_held[read.place] = std::byte{0};
        if (read.gap != Gap::kNone) {
          layer.let_go.push_back(read.gap);
        }
      }
      last = &read;
    }
  }
  void add(std::uint32_t group, const GroupCounts& more) {
    counts_[group] = counts_[group] + more;
    note_costs(group);
  }

  const Instance& instance_;
  const PlanCost& cost_;
  PlanDraft& draft_;
  std::vector<GroupCounts> counts_;
  std::vector<GroupCosts> costs_;
  std::vector<std::uint32_t> listed_;  ///< [block]: the latest of its gaps on the draft's list
  std::vector<Read> before_;           ///< [block]: its latest read; where there is none, as if it had been held
  std::vector<Layer> layers_;
  std::size_t next_gap_ = 0;
};

}  // namespace

Result<double> thin_plan(const TraceReader& trace, const Instance& instance, const PlanCost& cost, PlanDraft& draft,
                         const RunContext& context) {
  KVPLACE_ASSIGN(spool, ChunkSpool::create(trace.num_chunks()));
  Thinning thinning(instance, cost, draft);
  const auto visit = [&](std::size_t chunk, const Segment& segment) -> Status {
    KVPLACE_ASSIGN(ends_held, draft.held_spool.get(chunk));
    KVPLACE_TRY(thinning.visit(segment, ends_held, context));
    return spool.put(chunk, ends_held);
  };
  KVPLACE_TRY(plan_pass(trace, nullptr, context, "thinning the plan", visit));
  draft.held_spool = std::move(spool);
  return thinning.finish();
}

}  // namespace kvplace
