#include "solve/exact/exact_model.h"

#include <algorithm>
#include <string>
#include <utility>

namespace kvplace {
namespace {

/// Walks the trace once and writes down what each step allows and charges.
class Builder {
 public:
  Builder(const Instance& instance, std::size_t most_variables)
      : instance_(instance),
        exclusive_(instance.options().mode == Mode::kExclusive),
        split_(!exclusive_ && instance.options().mirrored_reads == MirroredReads::kSplit),
        most_variables_(most_variables),
        uses_until_(instance.num_blocks(), 0),
        exists_(instance.num_blocks(), false),
        state_(instance.num_blocks(), ExactModel::kNone),
        missed_(instance.num_blocks(), Bytes(0)) {
    model_.num_boundaries = static_cast<std::uint32_t>(instance.groups().num_steps()) + 1;
    model_.layers_per_group = instance.groups().layers_per_group();
    model_.num_groups = static_cast<std::uint32_t>(instance.groups().num_groups());
    model_.fixed.assign(model_.num_groups, {});
    const std::int64_t divisor = instance.common_block_bytes().value();
    model_.capacity = Bytes(instance.capacity().value() / divisor * divisor);
  }

  /// First of two passes, before start(): until when where a block is matters.
  void look_at(const StepView& record) {
    for (const BlockId id : record.reads) {
      if (!std::binary_search(record.appended.begin(), record.appended.end(), id)) {
        uses_until_[instance_.index(record.layer, id).value()] = step_of(record) + 1;
      }
    }
    for (const BlockId id : record.appended) {
      if (exclusive_) {
        uses_until_[instance_.index(record.layer, id).value()] = step_of(record) + 1;
      }
    }
  }

  void start() {
    const bool given = instance_.options().start != Start::kFree;
    std::vector<double> near(instance_.num_blocks(), 0);
    if (given) {
      for (const BlockIndex block : instance_.initial_near()) {
        near[block.value()] = 1;
      }
    }
    for (std::uint32_t layer = 0; layer < instance_.layers(); ++layer) {
      for (std::uint32_t id = 0; id < instance_.layout().initial_blocks(); ++id) {
        const BlockIndex block = instance_.index(LayerIndex(layer), BlockId(id));
        const double value = near[block.value()];
        exists_[block.value()] = true;
        if (uses_until_[block.value()] > 0 || (exclusive_ && value > 0)) {
          state_[block.value()] = add_state(block, 0, given ? value : 0, given ? value : 1);
        }
      }
    }
  }

  /// Steps come t-major, then by layer. False if the model grows too large.
  [[nodiscard]] bool add(const StepView& record) {
    step_ = step_of(record);
    group_ = instance_.group_of(FlatStep(step_)).value();
    const std::int64_t batch = instance_.options().batch;
    model_.fixed[group_] += instance_.fixed_loads(record.step, record.layer);
    Loads fixed;
    for (std::size_t i = 0; i < record.reads.size(); ++i) {
      add_read(record, i, fixed);
    }
    newborn_.clear();
    for (std::size_t i = 0; i < record.appended.size(); ++i) {
      add_append(instance_.index(record.layer, record.appended[i]), instance_.new_kv_bytes(record, i), fixed);
    }
    model_.fixed[group_] += fixed * batch;
    for (std::uint32_t block = 0; block < state_.size(); ++block) {
      if (ends_now(BlockIndex(block))) {
        state_[block] = ExactModel::kNone;
      } else if (state_[block] != ExactModel::kNone) {
        add_move(BlockIndex(block));
      }
    }
    for (const auto& [block, new_kv] : newborn_) {
      exists_[block.value()] = true;
      if ((exclusive_ || used_later(block)) && !ends_now(block)) {
        const ExactModel::Variable after = add_state(block, step_ + 1, 0, 1);
        state_[block.value()] = after;
        if (exclusive_) {
          add_new_kv(after, new_kv);
        }
      }
    }
    for (const BlockId id : record.reads) {
      missed_[instance_.index(record.layer, id).value()] = Bytes(0);
    }
    return model_.num_variables <= most_variables_;
  }

  [[nodiscard]] ExactModel take() { return std::move(model_); }

 private:
  [[nodiscard]] std::uint32_t step_of(const StepView& record) const {
    return instance_.flat(record.step, record.layer).value();
  }
  [[nodiscard]] bool used_later(BlockIndex block) const { return uses_until_[block.value()] > step_ + 1; }

  /// Gone with its request after this step; of other blocks false, as no step is behind the last one.
  [[nodiscard]] bool ends_now(BlockIndex block) const { return instance_.last_boundary(block) == step_; }

  ExactModel::Variable add_state(BlockIndex block, std::uint32_t boundary, double lower, double upper) {
    model_.states.push_back({model_.num_variables, boundary, block, lower, upper});
    return model_.num_variables++;
  }

  void add_load(ExactModel::Variable variable, const Loads& bytes) {
    model_.load_terms.push_back({variable, group_, bytes});
  }

  void add_read(const StepView& record, std::size_t i, Loads& fixed) {
    const BlockIndex block = instance_.index(record.layer, record.reads[i]);
    const Bytes bytes = instance_.bytes_of_read(record, i);
    if (std::binary_search(record.appended.begin(), record.appended.end(), record.reads[i])) {
      fixed.add(Transfer::kReadNear, bytes, 1);  // by rule
      return;
    }
    fixed.add(Transfer::kReadFar, bytes, 1);
    const ExactModel::Variable state = state_[block.value()];
    if (state == ExactModel::kNone) {
      return;  // it does not exist: no writer of traces lets this through
    }
    Loads near_instead;
    near_instead.add(Transfer::kReadNear, bytes, 1);
    near_instead.add(Transfer::kReadFar, Bytes(0) - bytes, -1);
    add_load(state, near_instead);
    if (split_) {
      model_.mirrored_terms.push_back({state, group_, bytes});
    }
    missed_[block.value()] = bytes;
  }

  void add_append(BlockIndex block, Bytes size, Loads& fixed) {
    const std::int64_t count = size > Bytes(0) ? 1 : 0;
    const ExactModel::Variable state = state_[block.value()];
    if (!exclusive_) {
      fixed.add(Transfer::kWriteNear, size, count);
    }
    fixed.add(Transfer::kWriteFar, size, count);
    if (!exists_[block.value()]) {
      newborn_.emplace_back(block, size);
    } else if (exclusive_ && state != ExactModel::kNone) {
      add_new_kv(state, size);
    }
  }

  /// Exclusive mode: new KV goes to near instead of far if `state` is 1.
  void add_new_kv(ExactModel::Variable state, Bytes size) {
    const std::int64_t count = size > Bytes(0) ? 1 : 0;
    Loads near_instead;
    near_instead.add(Transfer::kWriteNear, size, count);
    near_instead.add(Transfer::kWriteFar, Bytes(0) - size, -count);
    add_load(state, near_instead);
  }

  /// Any block of any layer may move in any step. What costs and serves nothing is left out, which changes neither the
  /// optimum nor, as it holds for each block alone at any prices that are not negative, the prices' meaning:
  /// - After a block's last use it is dropped (inclusive) or at least not promoted any more (exclusive).
  /// - Inclusive mode: between two uses it is not dropped; that would have been better done after the first of them.
  ///
  /// A block read from far in this step is promoted passively for the bytes read. With fractions only the missed part,
  /// 1 - from, could be; but no optimum promotes more: `promoted` costs and so is max(0, to - from) <= 1 - from.
  void add_move(BlockIndex block) {
    const bool used = used_later(block);
    if (!exclusive_ && !used) {
      state_[block.value()] = ExactModel::kNone;
      return;
    }
    const Bytes size = instance_.block_bytes(block);
    const Bytes read = missed_[block.value()];
    ExactModel::Move move;
    move.from = state_[block.value()];
    move.to = add_state(block, step_ + 1, 0, 1);
    if (used) {
      move.promoted = model_.num_variables++;
      Loads up;
      up.add_promotion(size, read);
      add_load(move.promoted, up);
    }
    if (exclusive_) {
      move.demoted = model_.num_variables++;
      Loads down;
      down.add(Transfer::kDemote, size, 1);
      add_load(move.demoted, down);
    } else {
      move.drops = step_ == 0 || read.value() > 0;
    }
    model_.moves.push_back(move);
    state_[block.value()] = move.to;
  }

  const Instance& instance_;
  const bool exclusive_;
  const bool split_;
  const std::size_t most_variables_;
  ExactModel model_;
  std::uint32_t step_ = 0;
  std::uint32_t group_ = 0;
  std::vector<std::uint32_t> uses_until_;    ///< by block: the step of its last use + 1; 0: none
  std::vector<bool> exists_;                 ///< by block
  std::vector<ExactModel::Variable> state_;  ///< by block, while the step runs; kNone: far, or it does not exist
  std::vector<Bytes> missed_;                ///< by block: bytes this step reads from far if the block is there
  std::vector<std::pair<BlockIndex, Bytes>> newborn_;  ///< and what is written to each
};

}  // namespace

Result<ExactModel> ExactModel::build(const TraceReader& trace, const Instance& instance, std::size_t most_variables) {
  const auto too_large = [&] {
    return bad_input(trace.path() + ": the exact model of " + std::to_string(instance.layers()) + " layers x " +
                     std::to_string(instance.blocks_per_layer()) + " blocks x " + std::to_string(instance.steps()) +
                     " decode steps has more than " + std::to_string(most_variables) +
                     " variables: use a shorter trace, or larger pages");
  };
  // A group has 5 or 6 variables of its own, see exact.cpp.
  const bool split =
      instance.options().mode == Mode::kInclusive && instance.options().mirrored_reads == MirroredReads::kSplit;
  const std::size_t of_groups = instance.groups().num_groups() * (kNumChannels + (split ? 2 : 1));
  if (of_groups > most_variables) {
    return too_large();
  }
  Builder builder(instance, most_variables - of_groups);
  for (const bool looking : {true, false}) {
    if (!looking) {
      builder.start();
    }
    for (std::size_t chunk = 0; chunk < trace.num_chunks(); ++chunk) {
      KVPLACE_ASSIGN(segment, trace.chunk(chunk));
      for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
        for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
          if (looking) {
            builder.look_at(segment.view(step, layer));
          } else if (!builder.add(segment.view(step, layer))) {
            return too_large();
          }
        }
      }
    }
  }
  return builder.take();
}

Seconds ExactModel::time_of(const Instance& instance, std::span<const double> values) const {
  std::vector<std::int64_t> whole(num_variables, 0);
  for (const State& state : states) {
    whole[state.variable] = values[state.variable] > 0.5 ? 1 : 0;
  }
  for (const Move& move : moves) {
    const std::int64_t rise = whole[move.to] - whole[move.from];
    if (move.promoted != kNone) {
      whole[move.promoted] = std::max<std::int64_t>(rise, 0);
    }
    if (move.demoted != kNone) {
      whole[move.demoted] = std::max<std::int64_t>(-rise, 0);
    }
  }
  const std::int64_t batch = instance.options().batch;
  std::vector<Loads> loads = fixed;
  for (const LoadTerm& term : load_terms) {
    loads[term.group] += term.bytes * (batch * whole[term.variable]);
  }
  std::vector<MovableBytes> mirrored(num_groups);
  for (const MirroredTerm& term : mirrored_terms) {
    mirrored[term.group] += MovableBytes{term.bytes, 1} * (batch * whole[term.variable]);
  }
  Seconds total;
  const StepTime step_time = instance.step_time().at_peak();
  for (std::uint32_t group = 0; group < num_groups; ++group) {
    total += mirrored_terms.empty() ? step_time(loads[group], layers_per_group)
                                    : best_split(step_time, loads[group], {mirrored[group], {}}, layers_per_group).time;
  }
  return total;
}

}  // namespace kvplace
