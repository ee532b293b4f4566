#include "solve/gap_plan/write.h"

#include <algorithm>

#include "solve/plan_pass.h"

namespace kvplace {
namespace {

/// What becomes of a block behind a read or its birth.
enum class Fate : std::uint8_t { kLeave, kStay, kNeverRead };

bool appended_to(const StepView& record, BlockId id) {
  return std::binary_search(record.appended.begin(), record.appended.end(), id);
}

/// The draft says which gaps end held; a schedule needs to know at their beginning.
class Fates {
 public:
  static Result<Fates> make(const TraceReader& trace, const Instance& instance, const PlanDraft& draft,
                            const RunContext& context) {
    KVPLACE_ASSIGN(spool, ChunkSpool::create(trace.num_chunks()));
    Fates fates(std::move(spool), instance.num_blocks());
    std::uint64_t done = 0;
    if (context.progress != nullptr) {
      context.progress->start("turning the plan", trace.totals().reads, "reads");
    }
    for (std::size_t chunk = trace.num_chunks(); chunk-- > 0;) {
      KVPLACE_ASSIGN(segment, trace.chunk(chunk));
      KVPLACE_ASSIGN(ends_held, draft.held_spool.get(chunk));
      KVPLACE_TRY(fates.spool_.put(chunk, fates.turn(segment, instance, ends_held)));
      done += segment.num_reads();
      if (context.progress != nullptr) {
        context.progress->update(done);
      }
    }
    if (context.progress != nullptr) {
      context.progress->finish();
    }
    return fates;
  }

  /// Of a chunk's reads, then of its appended blocks.
  [[nodiscard]] Result<std::vector<std::byte>> of_chunk(std::size_t chunk) const { return spool_.get(chunk); }
  [[nodiscard]] Fate at_start(std::uint32_t block) const { return next_[block]; }

 private:
  Fates(ChunkSpool spool, std::uint32_t num_blocks) : spool_(std::move(spool)), next_(num_blocks, Fate::kNeverRead) {}

  std::vector<std::byte> turn(const Segment& segment, const Instance& instance, std::span<const std::byte> ends_held) {
    std::vector<std::byte> out(segment.num_reads() + segment.num_appended());
    std::size_t read = segment.num_reads();
    std::size_t birth = out.size();
    for (std::uint32_t step = segment.end_step(); step-- > segment.first_step();) {
      for (std::uint32_t layer = segment.layers(); layer-- > 0;) {
        const StepView record = segment.view(step, layer);
        const std::uint32_t base = instance.index(record.layer, BlockId(0)).value();
        read -= record.reads.size();
        birth -= record.appended.size();
        for (std::size_t i = 0; i < record.appended.size(); ++i) {
          out[birth + i] = static_cast<std::byte>(next_[base + record.appended[i].value()]);
        }
        for (std::size_t i = 0; i < record.reads.size(); ++i) {
          Fate& next = next_[base + record.reads[i].value()];
          out[read + i] = static_cast<std::byte>(next);
          if (!appended_to(record, record.reads[i])) {
            next = ends_held[read + i] != std::byte{0} ? Fate::kStay : Fate::kLeave;
          }
        }
      }
    }
    return out;
  }

  ChunkSpool spool_;
  std::vector<Fate> next_;  // by block: of its gap that begins before what was seen so far
};

class PlanWriter {
 public:
  PlanWriter(const Instance& instance, const PlanDraft& draft, const Fates& fates, ScheduleWriter& writer)
      : instance_(instance),
        fates_(fates),
        writer_(writer),
        capacity_(instance.capacity().value() / instance.mean_kv_block_bytes().value()),
        near_(instance.num_blocks(), 0),
        exists_(instance.num_blocks(), 0),
        now_held_(instance.num_blocks(), 0) {
    for (const Gap& gap : draft.gaps) {
      if (gap.held()) {
        holds_.push_back({gap.from, gap.block});
      } else if (!gap.missed()) {
        arrivals_.push_back({gap.arrive, gap.block});
      }
    }
    std::sort(holds_.begin(), holds_.end());
    std::sort(arrivals_.begin(), arrivals_.end());
  }

  Status start() {
    mark_holds(0);
    std::vector<BlockIndex> near;
    const bool free_start = instance_.options().start == Start::kFree;
    if (!free_start) {
      near = instance_.initial_near();
    }
    for (std::uint32_t b = 0; b < instance_.num_blocks(); ++b) {
      if (instance_.id_of(BlockIndex(b)).value() < instance_.layout().initial_blocks()) {
        exists_[b] = 1;
        if (free_start && fate(b, fates_.at_start(b)) == Fate::kStay) {
          near.emplace_back(b);
        }
      }
    }
    for (const BlockIndex block : near) {
      near_[block.value()] = 1;
      const Fate then = fate(block.value(), fates_.at_start(block.value()));
      if (then == Fate::kLeave) {
        evict_.push_back(block);
      } else if (then == Fate::kNeverRead) {
        useless_.push_back(block);
      }
    }
    occupied_ = static_cast<std::int64_t>(near.size());
    for (const BlockIndex block : evict_) {  // in the first step
      near_[block.value()] = 0;
      --occupied_;
    }
    unmark_holds();
    return writer_.start(near);
  }

  Status visit(std::size_t chunk, const Segment& segment) {
    KVPLACE_ASSIGN(fates, fates_.of_chunk(chunk));
    std::span<const std::byte> of_reads = std::span<const std::byte>(fates).first(segment.num_reads());
    std::span<const std::byte> of_births = std::span<const std::byte>(fates).subspan(segment.num_reads());
    for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
      for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
        const StepView record = segment.view(step, layer);
        KVPLACE_TRY(visit_step(record, step * segment.layers() + layer + 1, of_reads, of_births));
        of_reads = of_reads.subspan(record.reads.size());
        of_births = of_births.subspan(record.appended.size());
      }
    }
    return {};
  }

 private:
  struct Event {
    std::uint32_t boundary;
    std::uint32_t block;
    auto operator<=>(const Event&) const = default;
  };

  /// `boundary`: the one behind the step.
  Status visit_step(const StepView& record, std::uint32_t boundary, std::span<const std::byte> of_reads,
                    std::span<const std::byte> of_births) {
    const std::uint32_t base = instance_.index(record.layer, BlockId(0)).value();
    mark_holds(boundary);
    for (std::size_t i = 0; i < record.reads.size(); ++i) {
      const std::uint32_t b = base + record.reads[i].value();
      if (!appended_to(record, record.reads[i])) {
        settle(b, fate(b, static_cast<Fate>(of_reads[i])));
      }
    }
    for (std::size_t i = 0; i < record.appended.size(); ++i) {
      const std::uint32_t b = base + record.appended[i].value();
      if (exists_[b] == 0) {
        exists_[b] = 1;
        settle(b, fate(b, static_cast<Fate>(of_births[i])));
      }
    }
    unmark_holds();
    end_requests(record);
    for (; next_arrival_ < arrivals_.size() && arrivals_[next_arrival_].boundary == boundary; ++next_arrival_) {
      enter(arrivals_[next_arrival_].block);
    }
    while (occupied_ > capacity_ && !useless_.empty()) {
      if (near_[useless_.back().value()] != 0) {  // else gone with its request
        leave(useless_.back().value());
      }
      useless_.pop_back();
    }
    const Status added = writer_.add(promote_, evict_);
    promote_.clear();
    evict_.clear();
    return added;
  }

  void end_requests(const StepView& record) {
    instance_.for_each_ending(record.step, record.layer, [this](BlockIndex block) {
      std::uint8_t& near = near_[block.value()];
      occupied_ -= near;
      near = 0;
    });
  }
  [[nodiscard]] Fate fate(std::uint32_t block, Fate drafted) const {
    return now_held_[block] != 0 ? Fate::kStay : drafted;
  }
  void settle(std::uint32_t block, Fate fate) {
    if (fate == Fate::kStay && near_[block] == 0) {
      enter(block);
    } else if (fate == Fate::kLeave && near_[block] != 0) {
      leave(block);
    } else if (fate == Fate::kNeverRead && near_[block] != 0) {
      useless_.emplace_back(block);  // it leaves when its room is wanted
    }
  }
  void enter(std::uint32_t block) {
    near_[block] = 1;
    ++occupied_;
    promote_.emplace_back(block);
  }
  void leave(std::uint32_t block) {
    near_[block] = 0;
    --occupied_;
    evict_.emplace_back(block);
  }
  void mark_holds(std::uint32_t boundary) {
    for (; next_hold_ < holds_.size() && holds_[next_hold_].boundary == boundary; ++next_hold_) {
      now_held_[holds_[next_hold_].block] = 1;
      marked_.push_back(holds_[next_hold_].block);
    }
  }
  void unmark_holds() {
    for (const std::uint32_t block : marked_) {
      now_held_[block] = 0;
    }
    marked_.clear();
  }

  const Instance& instance_;
  const Fates& fates_;
  ScheduleWriter& writer_;
  std::int64_t capacity_;  // blocks
  std::int64_t occupied_ = 0;
  std::vector<std::uint8_t> near_;
  std::vector<std::uint8_t> exists_;
  std::vector<std::uint8_t> now_held_;  // gaps that begin in the step at hand and are held since the draft
  std::vector<std::uint32_t> marked_;
  std::vector<BlockIndex> useless_;  // near, never read again
  std::vector<Event> holds_;
  std::vector<Event> arrivals_;
  std::size_t next_hold_ = 0;
  std::size_t next_arrival_ = 0;
  std::vector<BlockIndex> promote_;
  std::vector<BlockIndex> evict_;
};

}  // namespace

Status write_plan(const TraceReader& trace, const Instance& instance, const PlanDraft& draft, const std::string& path,
                  const RunContext& context) {
  KVPLACE_ASSIGN(fates, Fates::make(trace, instance, draft, context));
  const ScheduleMeta meta = schedule_meta(instance, trace.totals().digest, "planned");
  KVPLACE_ASSIGN(writer, ScheduleWriter::create(path, meta));
  PlanWriter plan_writer(instance, draft, fates, writer);
  KVPLACE_TRY(plan_writer.start());
  KVPLACE_TRY(plan_pass(trace, nullptr, context, "writing the plan",
                        [&](std::size_t chunk, const Segment& segment) { return plan_writer.visit(chunk, segment); }));
  return writer.finish();
}

}  // namespace kvplace
