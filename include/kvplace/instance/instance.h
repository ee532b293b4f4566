/// An instance: a machine, a model and a trace resolved to the numbers of the formulation.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvplace/hardware/hardware.h"
#include "kvplace/instance/deployment.h"
#include "kvplace/instance/options.h"
#include "kvplace/instance/step_time.h"
#include "kvplace/model/model.h"
#include "kvplace/trace/trace.h"

namespace kvplace {

/// What one step (decode step, layer) reads and writes whatever the placement, for one request.
struct StepTraffic {
  Bytes reads;           ///< all KV (and expert) reads
  Bytes reads_appended;  ///< of them, reads of blocks appended to in this step, always near
  Bytes new_kv;          ///< N
  // In how many transfers.
  std::int64_t num_reads = 0;
  std::int64_t num_reads_appended = 0;
  std::int64_t num_new_kv = 0;
};

/// Immutable; safe to share between threads.
class Instance {
 public:
  /// Errors name what contradicts: capacity larger than the machine, a model without sizes, batch with experts, ...
  [[nodiscard]] static Result<Instance> make(const InstanceSpec& spec, const TraceMeta& meta,
                                             const TraceTotals& totals);

  /// What was given.
  [[nodiscard]] const InstanceSpec& spec() const { return spec_; }
  /// The same but for the batch, which is that of one GPU.
  [[nodiscard]] const InstanceOptions& options() const { return options_; }
  /// What the GPU has of machine, model and requests.
  [[nodiscard]] const GpuShare& share() const { return share_; }
  /// Of all GPUs together.
  [[nodiscard]] std::uint32_t all_requests() const { return spec_.options.batch; }
  /// What one request decoded before a decode step, or before the end; of a served batch all of them.
  [[nodiscard]] std::uint64_t tokens_before(std::uint32_t step) const {
    return tokens_before_.empty() ? step : tokens_before_[step];
  }
  /// By all requests in the first decode steps. (A served batch counts as one.)
  [[nodiscard]] double tokens_decoded(std::uint32_t steps) const {
    return static_cast<double>(tokens_before(steps)) * all_requests();
  }
  [[nodiscard]] const BlockLayout& layout() const { return layout_; }
  [[nodiscard]] std::uint32_t layers() const { return layers_; }
  [[nodiscard]] std::uint32_t steps() const { return steps_; }
  [[nodiscard]] std::uint32_t blocks_per_layer() const { return blocks_per_layer_; }
  /// Of a layer that there are at once, at most: those at the end, or of a served batch those of its fullest step.
  [[nodiscard]] std::uint32_t most_pages() const {
    return layout_.served != nullptr ? layout_.served->most_pages() : blocks_per_layer_ - layout_.experts;
  }
  [[nodiscard]] std::uint32_t num_blocks() const { return layers_ * blocks_per_layer_; }

  /// Which steps time is taken of together.
  [[nodiscard]] const StepGroups& groups() const { return groups_; }
  [[nodiscard]] FlatStep flat(StepIndex step, LayerIndex layer) const { return groups_.flat(step, layer); }
  [[nodiscard]] GroupIndex group_of(FlatStep step) const { return groups_.group_of(step); }

  [[nodiscard]] BlockIndex index(LayerIndex layer, BlockId id) const {
    return BlockIndex(layer.value() * blocks_per_layer_ + id.value());
  }
  [[nodiscard]] LayerIndex layer_of(BlockIndex block) const { return LayerIndex(block.value() / blocks_per_layer_); }
  [[nodiscard]] BlockId id_of(BlockIndex block) const { return BlockId(block.value() % blocks_per_layer_); }

  /// The last boundary (0 before the first step, one behind each, in order of time) at which a block exists: the one
  /// before its request's last step in its layer, or the trace's end.
  [[nodiscard]] std::uint32_t last_boundary(BlockIndex block) const {
    const BlockId id = id_of(block);
    const ServedRequests* served = layout_.served.get();
    if (served == nullptr || layout_.kind(id) == BlockKind::kExpert) {
      return static_cast<std::uint32_t>(groups_.num_steps());
    }
    return flat(StepIndex(served->all()[served->request(id)].end_step - 1), layer_of(block)).value();
  }

  /// Calls visit(block) for each block of a layer whose request of a served batch ends with a decode step.
  template <typename Visit>
  void for_each_ending(StepIndex step, LayerIndex layer, Visit&& visit) const {
    const ServedRequests* served = layout_.served.get();
    if (served == nullptr) {
      return;
    }
    for (const std::uint32_t request : served->ending(step.value())) {
      for (const BlockId id : served->blocks_of(request)) {
        visit(index(layer, id));
      }
    }
  }

  /// s_b of one request's block.
  [[nodiscard]] Bytes block_bytes(BlockIndex block) const {
    return one_size_ ? kv_blocks_.front() : block_bytes(layer_of(block), id_of(block));
  }
  [[nodiscard]] Bytes block_bytes(LayerIndex layer, BlockId id) const {
    return layout_.kind(id) == BlockKind::kExpert ? expert_bytes(layer) : kv_block_bytes(layer);
  }
  /// Of a trace with experts alone, where capacities in blocks are counted in experts, an expert's.
  [[nodiscard]] Bytes kv_block_bytes(LayerIndex layer) const { return of(kv_blocks_, layer); }
  /// Of a KV block in each layer together.
  [[nodiscard]] Bytes kv_row_bytes() const { return kv_row_; }
  /// The same divided by the layers, rounded down: a KV block where layers are alike.
  [[nodiscard]] Bytes mean_kv_block_bytes() const { return Bytes(kv_row_.value() / layers_); }
  /// Of one expert of a layer; 0 without experts.
  [[nodiscard]] Bytes expert_bytes(LayerIndex layer) const {
    return expert_blocks_.empty() ? Bytes(0) : expert_blocks_[layer.value()];
  }
  /// The sizes of experts that there are, ascending: one if those of all layers are alike; empty without experts.
  [[nodiscard]] std::vector<Bytes> expert_sizes() const;
  /// Of all experts of all layers.
  [[nodiscard]] Bytes all_expert_bytes() const;
  /// Nothing but experts is read; no KV page exists.
  [[nodiscard]] bool experts_alone() const { return layout_.experts > 0 && blocks_per_layer_ == layout_.experts; }
  /// The sizes of blocks that there are, ascending, each once.
  [[nodiscard]] std::vector<Bytes> block_sizes() const;
  /// What all blocks are multiples of.
  [[nodiscard]] Bytes common_block_bytes() const;
  /// Whether KV blocks of all layers have one size.
  [[nodiscard]] bool has_like_layers() const { return kv_blocks_.size() == 1; }
  /// True if all blocks have one size and every read is of a whole block.
  [[nodiscard]] bool uniform() const { return one_size_ && whole_pages_; }
  /// True if every read is of a whole KV block.
  [[nodiscard]] bool reads_whole_pages() const { return whole_pages_; }

  /// N, the KV of one token in one layer; 0 if new KV is free.
  [[nodiscard]] Bytes new_kv_bytes(LayerIndex layer) const { return of(new_kv_, layer); }
  /// What the record's `appended`-th block gets: N for each token written to it, as far as it holds them.
  [[nodiscard]] Bytes new_kv_bytes(const StepView& record, std::size_t appended) const {
    const Bytes of_token = new_kv_bytes(record.layer);
    return record.written_tokens.empty()
               ? of_token
               : std::min(kv_block_bytes(record.layer), of_token * std::int64_t{record.written_tokens[appended]});
  }
  /// C_near, one request's share.
  [[nodiscard]] Bytes capacity() const { return capacity_; }
  /// Of all requests together: no less than capacity() for each.
  [[nodiscard]] Bytes batch_capacity() const { return batch_capacity_; }
  /// What a policy with a buffer per layer may use of it in one layer. As many blocks in each (parts of the bytes as
  /// their blocks are large) unless options().layer_shares are given; then whole KV blocks in proportion to them
  /// (largest remainders; of equal ones the lower layer's). Together never more than capacity().
  [[nodiscard]] Bytes layer_capacity(LayerIndex layer) const { return layer_capacity_[layer.value()]; }
  /// What a step reads besides the traced KV, of the whole batch: weights, and of layers that are not in the trace
  /// windows, states and KV; index keys.
  struct FixedLoads {
    Loads loads;
    Bytes near_per_token;  ///< and so much from near for each token of the context
    Bytes weights;
    Bytes near_weights;  ///< of them, from near

    bool operator==(const FixedLoads&) const = default;
  };
  /// By the number of requests that run, less one; requests that are alike all run always: there is one.
  [[nodiscard]] std::size_t num_fixed() const { return fixed_.size(); }
  /// REQUIRES: running < num_fixed().
  [[nodiscard]] const FixedLoads& fixed_of(std::size_t running, LayerIndex layer) const {
    return of(fixed_[running], layer);
  }
  [[nodiscard]] const FixedLoads& fixed_of(StepIndex step, LayerIndex layer) const {
    return fixed_of(fixed_.size() == 1 ? 0 : layout_.served->running(step.value()).size() - 1, layer);
  }
  /// Tokens of a request's text before a decode step; of a served batch of all that run.
  [[nodiscard]] std::uint64_t context_tokens(StepIndex step) const {
    return layout_.served != nullptr ? layout_.served->context_tokens(step.value())
                                     : layout_.prompt_tokens + tokens_before(step.value());
  }
  [[nodiscard]] Loads fixed_loads(StepIndex step, LayerIndex layer) const {
    const FixedLoads& fixed = fixed_of(step, layer);
    Loads loads = fixed.loads;
    loads.bytes[at(Channel::kNearMem)] +=
        fixed.near_per_token.value() * static_cast<std::int64_t>(context_tokens(step));
    return loads;
  }
  [[nodiscard]] Loads fixed_loads(FlatStep step) const {
    return fixed_loads(StepIndex(step.value() / layers_), LayerIndex(step.value() % layers_));
  }
  /// Of all layers of a group.
  [[nodiscard]] Loads fixed_loads(GroupIndex group) const;
  /// All bytes of fixed_loads(), from whichever side.
  [[nodiscard]] Bytes fixed_bytes(StepIndex step, LayerIndex layer) const {
    const Loads loads = fixed_loads(step, layer);
    return Bytes(loads.on(Channel::kNearMem) + loads.on(Channel::kFarMem));
  }
  /// Of the mean layer.
  [[nodiscard]] Bytes weight_bytes_per_step() const { return weight_bytes_per_step_; }
  /// What the engine takes; at_peak() of it is the machine's, which bounds are of.
  [[nodiscard]] const StepTime& step_time() const { return step_time_; }
  /// The same with near memory for everything: without what only tiers cost.
  [[nodiscard]] const StepTime& all_near_time() const { return all_near_time_; }
  /// What bounds take a step to be: no more than step_time(), and convex (options.bound_costs).
  [[nodiscard]] StepTime bound_time() const;
  /// This instance as bounds and certificates see it, as a machine without an engine whose steps take bound_time() of
  /// the same traffic, or less by the rounding of a byte. This very instance if only the machine at its peak counts.
  [[nodiscard]] Instance for_bounds() const;
  /// Whether not all blocks that the trace ends with fit near.
  [[nodiscard]] bool tiered() const { return tiered_; }

  /// r_b: what the record's `read`-th read moves; the whole block unless the trace says less.
  [[nodiscard]] Bytes bytes_of_read(const StepView& record, std::size_t read) const;
  /// The traffic of one record of the trace.
  [[nodiscard]] StepTraffic traffic(const StepView& record) const;

  /// What is near at the first decode step if the start is not free: in order of entry, oldest first. With
  /// layer_shares, as many of the newest blocks of each layer as its capacity holds. If the trace tells which experts
  /// the prompt used, they come before pages: those used last, the same number in each layer, until it is full.
  [[nodiscard]] std::vector<BlockIndex> initial_near() const;

  /// The same with another start.
  [[nodiscard]] Instance with_start(Start start) const;
  /// The same under another migration rule.
  [[nodiscard]] Instance with_copies(Copies copies) const;

  /// Facts a reader of the results should know ("the trace has 30 layers, the model 32").
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

 private:
  explicit Instance(const InstanceSpec& spec, GpuShare share, StepTime step_time)
      : spec_(spec),
        options_(spec.options),
        share_(std::move(share)),
        step_time_(step_time),
        all_near_time_(step_time) {
    options_.batch = share_.requests;
  }

  /// A number that stands for all layers, or the layer's.
  template <class T>
  [[nodiscard]] static const T& of(const std::vector<T>& numbers, LayerIndex layer) {
    return numbers[numbers.size() == 1 ? 0 : layer.value()];
  }

  Status set_sizes(const TraceMeta& meta);
  Status set_expert_sizes(const TraceMeta& meta);
  Status set_kv_blocks(const TraceMeta& meta);
  void set_fixed_loads();
  [[nodiscard]] std::vector<FixedLoads> fixed_of_layers(const std::vector<TracedLayer>& layers) const;
  Status check_totals() const;
  Status set_capacity();
  Status divide_capacity();
  void set_times(double verified_per_step);
  void note_what_does_not_fit();
  void add_prompt_experts(std::vector<Bytes>& rooms, std::vector<BlockIndex>& near) const;

  InstanceSpec spec_;
  InstanceOptions options_;
  GpuShare share_;
  StepTime step_time_;
  StepTime all_near_time_;
  bool tiered_ = false;
  BlockLayout layout_;
  StepGroups groups_;
  std::vector<std::uint64_t> tokens_before_;  // by decode step, and behind the last; empty: one in each
  std::uint32_t layers_ = 0;
  std::uint32_t steps_ = 0;
  std::uint32_t blocks_per_layer_ = 0;
  bool one_size_ = true;
  bool whole_pages_ = true;
  std::vector<Bytes> kv_blocks_;  // of()
  Bytes kv_row_;
  std::vector<Bytes> expert_blocks_;                        // by layer; empty without experts
  std::vector<std::vector<std::uint32_t>> prompt_experts_;  // of the trace
  std::vector<Bytes> new_kv_;                               // of()
  Bytes capacity_;
  Bytes batch_capacity_;
  std::vector<Bytes> layer_capacity_;
  Bytes weight_bytes_per_step_;
  std::vector<std::vector<FixedLoads>> fixed_;  // by fixed_of()'s `running`; each of()
  std::vector<std::string> notes_;
};

}  // namespace kvplace
