#include "solve/path_plan/uses.h"

#include <algorithm>

#include "solve/plan_pass.h"

namespace kvplace {

PlanUses::PlanUses(const Instance& instance)
    : instance_(&instance), begin_(std::size_t{instance.num_blocks()} + 1), fixed_(instance.groups().num_groups()) {
  for (std::uint32_t group = 0; group < fixed_.size(); ++group) {
    fixed_[group].loads = instance.fixed_loads(GroupIndex(group));
  }
}

Result<PlanUses> PlanUses::make(const TraceReader& trace, const Instance& instance, std::uint64_t most_uses,
                                const RunContext& context) {
  PlanUses uses(instance);
  if (trace.totals().reads > most_uses) {
    return failed(trace.path() + ": has more than " + std::to_string(most_uses) + " reads, too many to plan");
  }
  KVPLACE_TRY(uses.fill(trace, context));
  return uses;
}

/// Calls `note(block, kind, index of the read or append)`: births first.
template <class Note>
void PlanUses::visit(const StepView& record, const Note& note) const {
  const std::uint32_t base = instance_->index(record.layer, BlockId(0)).value();
  for (std::size_t i = 0; i < record.appended.size(); ++i) {
    const std::uint32_t block = base + record.appended[i].value();
    if (!exists_[block] || instance_->options().mode == Mode::kExclusive) {
      note(block, exists_[block] ? UseKind::kWrite : UseKind::kBirth, i);
    }
  }
  for (std::size_t i = 0; i < record.reads.size(); ++i) {
    const bool by_rule = std::binary_search(record.appended.begin(), record.appended.end(), record.reads[i]);
    if (!by_rule && exists_[base + record.reads[i].value()]) {
      note(base + record.reads[i].value(), UseKind::kRead, i);
    }
  }
}

Status PlanUses::fill(const TraceReader& trace, const RunContext& context) {
  std::vector<std::size_t> next;
  for (const bool counting : {true, false}) {
    exists_.assign(instance_->num_blocks(), false);
    for (std::uint32_t block = 0; block < instance_->num_blocks(); ++block) {
      exists_[block] = instance_->id_of(BlockIndex(block)).value() < instance_->layout().initial_blocks();
    }
    if (!counting) {
      for (std::size_t block = 1; block < begin_.size(); ++block) {
        begin_[block] += begin_[block - 1];
      }
      next = begin_;
      steps_.resize(begin_.back());
      kinds_.resize(begin_.back());
      bytes_.resize(trace.meta().has_read_bytes || trace.meta().has_tokens ? begin_.back() : 0);
    }
    KVPLACE_TRY(plan_pass(trace, nullptr, context, "planning", [&](std::size_t, const Segment& segment) -> Status {
      for (std::uint32_t t = segment.first_step(); t < segment.end_step(); ++t) {
        for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
          const StepView record = segment.view(t, layer);
          const std::uint32_t step = t * segment.layers() + layer;
          visit(record, [&](std::uint32_t block, UseKind kind, std::size_t i) {
            if (counting) {
              ++begin_[std::size_t{block} + 1];
              return;
            }
            const std::size_t at = next[block]++;
            steps_[at] = step;
            kinds_[at] = kind;
            if (!bytes_.empty()) {
              const bool is_read = kind == UseKind::kRead;
              const Bytes bytes = is_read ? instance_->bytes_of_read(record, i) : instance_->new_kv_bytes(record, i);
              const bool whole = is_read && bytes == instance_->block_bytes(BlockIndex(block));
              bytes_[at] = whole ? 0 : static_cast<std::uint32_t>(bytes.value());
            }
          });
          if (counting) {
            const StepTraffic traffic = instance_->traffic(record);
            Loads fixed;
            fixed.add(Transfer::kReadNear, traffic.reads_appended, traffic.num_reads_appended);
            if (instance_->options().mode == Mode::kInclusive) {
              fixed.add(Transfer::kWriteNear, traffic.new_kv, traffic.num_new_kv);
              fixed.add(Transfer::kWriteFar, traffic.new_kv, traffic.num_new_kv);
            }
            fixed_[instance_->group_of(FlatStep(step)).value()].loads +=
                fixed * std::int64_t{instance_->options().batch};
          }
          for (const BlockId id : record.appended) {
            exists_[instance_->index(record.layer, id).value()] = true;
          }
        }
      }
      return {};
    }));
  }
  return {};
}

}  // namespace kvplace
