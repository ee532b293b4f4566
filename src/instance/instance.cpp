#include "kvplace/instance/instance.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

/// Loads stay far below 2^63 whatever is added up in one decode step.
constexpr double kMostBytesPerDecodeStep = 1e18;

Error unknown_block_size(const TraceMeta& meta) {
  const std::string named =
      meta.model.empty() ? std::string() : ", and no preset is called " + in_quotes(meta.model) + " as its model is";
  return {ErrorKind::kBadInput,
          "the trace does not say how large a block is" + named + ": give --model NAME or --block-bytes SIZE"};
}

/// Nothing but experts is read; no KV page exists.
bool has_experts_alone(const BlockLayout& layout, std::uint32_t blocks_per_layer) {
  return layout.experts > 0 && blocks_per_layer == layout.experts;
}

/// A model that single fields began, as --set model.experts.bytes_per_expert=SIZE does where the trace names no preset:
/// what the fields leave open is the trace's.
Status complete_model(Model& model, InstanceOptions& options, const TraceMeta& meta, const TraceTotals& totals) {
  if (model.layers == 0) {
    model.layers = meta.layers;
  }
  Bytes& kv_bytes = model.kv_bytes_per_token_per_layer;
  if (kv_bytes == Bytes(0)) {
    kv_bytes = kv_bytes_of_shape(model.attention);
  }
  if (kv_bytes == Bytes(0)) {
    const std::optional<Bytes> block = options.block_bytes ? options.block_bytes : meta.block_bytes;
    if (block) {
      const std::int64_t tokens = meta.layout.block_tokens;
      kv_bytes = Bytes((block->value() + tokens - 1) / tokens);
      options.block_bytes = block;  // exactly, where that is rounded
    } else if (has_experts_alone(meta.layout, totals.blocks_per_layer)) {
      kv_bytes = model.experts.bytes_per_expert;  // so that capacities in blocks are counted in experts
    } else {
      return tl::unexpected(unknown_block_size(meta));
    }
  }
  return {};
}

}  // namespace

Result<Instance> Instance::make(const InstanceSpec& given, const TraceMeta& meta, const TraceTotals& totals) {
  InstanceSpec spec = given;
  KVPLACE_TRY(validate(spec.hardware, "hardware " + spec.hardware.name));
  if (spec.model && spec.model->name.empty()) {
    KVPLACE_TRY(complete_model(*spec.model, spec.options, meta, totals));
  }
  if (spec.model) {
    KVPLACE_TRY(validate(*spec.model, spec.model->name.empty() ? "model" : "model " + spec.model->name));
  }
  if (spec.options.mirrored_reads == MirroredReads::kSplit && spec.options.mode == Mode::kExclusive) {
    return bad_input(
        "options.mirrored_reads=split needs --mode inclusive: in exclusive mode no block is on both sides");
  }
  KVPLACE_ASSIGN(share, share_of_one_gpu(spec, meta, totals));
  KVPLACE_TRY(validate(spec.engine, spec.engine.name.empty() ? "engine" : "engine " + spec.engine.name));
  const StepTime step_time(share.machine, spec.options.overlap, Seconds(0), Seconds(0));  // until sizes are known
  Instance instance(spec, std::move(share), step_time);
  instance.layout_ = meta.layout;
  if (totals.step_tokens != nullptr) {
    instance.tokens_before_.push_back(0);
    for (const StepTokens& tokens : *totals.step_tokens) {
      instance.tokens_before_.push_back(instance.tokens_before_.back() + tokens.decoded);
    }
  }
  instance.layers_ = meta.layers;
  instance.steps_ = totals.steps;
  instance.groups_ = StepGroups(totals.steps, meta.layers, spec.options.barrier);
  instance.blocks_per_layer_ = totals.blocks_per_layer;
  instance.prompt_experts_ = meta.prompt_experts;
  KVPLACE_TRY(instance.set_sizes(meta));
  KVPLACE_TRY(instance.set_capacity());
  KVPLACE_TRY(instance.divide_capacity());
  instance.set_times(totals.verified_per_step());
  instance.note_what_does_not_fit();
  return instance;
}

/// Of all layers; one stands for all if they are alike.
template <class T>
void merge_like_ones(std::vector<T>& numbers) {
  if (std::adjacent_find(numbers.begin(), numbers.end(), std::not_equal_to<>()) == numbers.end()) {
    numbers.resize(std::min<std::size_t>(1, numbers.size()));
  }
}

Status Instance::set_kv_blocks(const TraceMeta& meta) {
  const Model* model = spec_.model ? &*spec_.model : nullptr;
  if (options_.block_bytes) {
    kv_blocks_ = {*options_.block_bytes};
  } else if (model != nullptr) {
    for (const TracedLayer& layer : share_.layers) {
      kv_blocks_.push_back(layer.kv_bytes_per_token * std::int64_t{layout_.block_tokens});
    }
    const Bytes shape = kv_bytes_of_shape(model->attention);
    if (model->groups.empty() && shape != Bytes(0) && shape != model->kv_bytes_per_token_per_layer) {
      notes_.push_back("a token's KV in a layer is " + format_bytes(model->kv_bytes_per_token_per_layer) +
                       ", as kv_bytes_per_token_per_layer says; the model's shape and dtype make " +
                       format_bytes(shape));
    }
  } else if (meta.block_bytes) {
    kv_blocks_ = {*meta.block_bytes};
  } else if (!has_experts_alone(layout_, blocks_per_layer_)) {
    return tl::unexpected(unknown_block_size(meta));
  } else {
    kv_blocks_ = {Bytes(0)};
  }
  return {};
}

Status Instance::set_sizes(const TraceMeta& meta) {
  const InstanceOptions& options = options_;
  const Model* model = spec_.model ? &*spec_.model : nullptr;
  KVPLACE_TRY(set_kv_blocks(meta));
  if (layout_.experts > 0) {
    KVPLACE_TRY(set_expert_sizes(meta));
  }
  // A layer without KV (a state) has blocks in the trace that nothing reads: as small as any.
  const auto is_none = [](Bytes size) { return size.value() <= 0; };
  Bytes least = *std::max_element(kv_blocks_.begin(), kv_blocks_.end());
  if (is_none(least)) {
    return bad_input("--block-bytes must be more than 0");
  }
  for (const Bytes size : kv_blocks_) {
    least = is_none(size) ? least : std::min(least, size);
  }
  std::replace_if(kv_blocks_.begin(), kv_blocks_.end(), is_none, least);
  merge_like_ones(kv_blocks_);
  for (const Bytes size : kv_blocks_) {
    const std::int64_t of_token = (size.value() + layout_.block_tokens - 1) / layout_.block_tokens;
    new_kv_.emplace_back(options.new_kv && !experts_alone() ? of_token : 0);
  }
  merge_like_ones(new_kv_);
  one_size_ = layout_.experts == 0 && has_like_layers();
  whole_pages_ = layout_.experts == 0 && !meta.has_read_bytes;

  set_fixed_loads();
  if (model != nullptr && share_.stands_in) {
    notes_.push_back("the trace has " + std::to_string(layers_) + " layers, model " + model->name + " has " +
                     std::to_string(model->layers) +
                     ": sizes per layer are the model's, the number of layers the trace's");
  }
  KVPLACE_TRY(check_totals());
  for (std::uint32_t layer = 0; layer < layers_; ++layer) {
    kv_row_ += kv_block_bytes(LayerIndex(layer));
  }
  return {};
}

Status Instance::check_totals() const {
  const Bytes largest = block_sizes().back();
  double fixed = 0;
  for (std::uint32_t layer = 0; layer < layers_; ++layer) {
    fixed += static_cast<double>(fixed_bytes(StepIndex(std::max(1u, steps_) - 1), LayerIndex(layer)).value());
  }
  const double most = static_cast<double>(largest.value()) * blocks_per_layer_ * layers_ * options_.batch * 4.0 + fixed;
  if (most > kMostBytesPerDecodeStep) {
    return bad_input("blocks of " + format_bytes(largest) + " x " + std::to_string(options_.batch) + " requests and " +
                     format_bytes(weight_bytes_per_step_) +
                     " of weights per step exceed 10^18 bytes in a decode step: check the sizes");
  }
  return {};
}

/// The model's, layer by layer if it comes so; without one the trace's own.
Status Instance::set_expert_sizes(const TraceMeta& meta) {
  const std::optional<Model>& model = spec_.model;
  if (options_.batch != 1) {
    return bad_input("the trace has expert blocks, which requests share: --batch must be 1");
  }
  if (model && model->experts.bytes_per_expert.value() > 0) {
    expert_blocks_.assign(layers_, model->experts.bytes_per_expert);
    for (const LayerGroup& group : model->groups) {
      KVPLACE_ASSIGN(layers, parse_layer_set(group.at));
      for (const std::uint32_t layer : layers) {
        if (group.experts > 0 && layer >= meta.first_layer && layer - meta.first_layer < layers_) {
          expert_blocks_[layer - meta.first_layer] = group.expert_bytes;
        }
      }
    }
  } else if (!meta.expert_bytes.empty()) {
    expert_blocks_ = meta.expert_bytes;
  } else {
    return bad_input(
        "the trace has expert blocks, but their size is not known: give a --model with experts.bytes_per_expert, or "
        "--set model.experts.bytes_per_expert=SIZE");
  }
  if (experts_alone()) {  // capacities in blocks are counted in experts
    kv_blocks_ = expert_blocks_;
  }
  return {};
}

std::vector<Bytes> Instance::expert_sizes() const {
  std::vector<Bytes> sizes = expert_blocks_;
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  return sizes;
}

Bytes Instance::all_expert_bytes() const {
  return std::accumulate(expert_blocks_.begin(), expert_blocks_.end(), Bytes(0)) * std::int64_t{layout_.experts};
}

void Instance::set_fixed_loads() {
  weight_bytes_per_step_ = options_.weight_bytes_per_step.value_or(share_.weight_bytes_per_step);
  if (share_.layers_by_running.empty()) {
    fixed_.push_back(fixed_of_layers(share_.layers));
  }
  for (const std::vector<TracedLayer>& layers : share_.layers_by_running) {
    fixed_.push_back(fixed_of_layers(layers));
  }
  merge_like_ones(fixed_);
}

std::vector<Instance::FixedLoads> Instance::fixed_of_layers(const std::vector<TracedLayer>& layers) const {
  std::vector<FixedLoads> all;
  const std::vector<TracedLayer> none(1);
  for (const TracedLayer& layer : layers.empty() ? none : layers) {
    FixedLoads fixed;
    fixed.weights = options_.weight_bytes_per_step.value_or(layer.weight_bytes_per_step);
    fixed.near_weights = options_.experts_near
                             ? std::max(Bytes(0), fixed.weights - layer.far_experts_per_step)
                             : Bytes(std::llround(static_cast<double>(fixed.weights.value()) * options_.weights_near));
    const Bytes far = fixed.weights - fixed.near_weights;
    fixed.loads.add(Transfer::kReadNear, fixed.near_weights, fixed.near_weights.value() > 0 ? 1 : 0);
    if (spec_.engine.far_computes) {  // only what is computed of them comes back
      fixed.loads.bytes[at(Channel::kFarMem)] += far.value();
      fixed.loads.transfers[at(Channel::kFarMem)] += far.value() > 0 ? 1 : 0;
    } else {
      fixed.loads.add(Transfer::kReadFar, far, far.value() > 0 ? 1 : 0);
    }
    const Bytes other = layer.other_bytes_per_step;
    fixed.loads.add(Transfer::kReadNear, other, other.value() > 0 ? 1 : 0);
    fixed.near_per_token = layer.other_bytes_per_token;
    all.push_back(fixed);
  }
  merge_like_ones(all);
  return all;
}

Loads Instance::fixed_loads(GroupIndex group) const {
  const FlatStep first = groups_.first_of(group);
  Loads loads;
  for (std::uint32_t i = 0; i < groups_.layers_per_group(); ++i) {
    loads += fixed_loads(FlatStep(first.value() + i));
  }
  return loads;
}

std::vector<Bytes> Instance::block_sizes() const {
  std::vector<Bytes> sizes = kv_blocks_;
  sizes.insert(sizes.end(), expert_blocks_.begin(), expert_blocks_.end());
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  return sizes;
}

Bytes Instance::common_block_bytes() const {
  std::int64_t common = 0;
  for (const Bytes size : block_sizes()) {
    common = std::gcd(common, size.value());
  }
  return Bytes(common);
}

Instance Instance::with_start(Start start) const {
  Instance changed = *this;
  changed.spec_.options.start = changed.options_.start = start;
  return changed;
}

Instance Instance::with_copies(Copies copies) const {
  Instance changed = *this;
  changed.spec_.options.copies = changed.options_.copies = copies;
  return changed;
}

Bytes Instance::bytes_of_read(const StepView& record, std::size_t read) const {
  const Bytes whole = block_bytes(record.layer, record.reads[read]);
  const bool partial = !record.read_bytes.empty() && record.read_bytes[read] != 0;
  return partial ? std::min(whole, Bytes(record.read_bytes[read])) : whole;
}

StepTraffic Instance::traffic(const StepView& record) const {
  StepTraffic traffic;
  traffic.num_reads = static_cast<std::int64_t>(record.reads.size());
  if (whole_pages_) {
    traffic.reads = kv_block_bytes(record.layer) * traffic.num_reads;
  } else {
    for (std::size_t i = 0; i < record.reads.size(); ++i) {
      traffic.reads += bytes_of_read(record, i);
    }
  }
  for (const BlockId id : record.appended) {
    const auto read = std::lower_bound(record.reads.begin(), record.reads.end(), id);
    if (read != record.reads.end() && *read == id) {
      ++traffic.num_reads_appended;
      traffic.reads_appended += bytes_of_read(record, static_cast<std::size_t>(read - record.reads.begin()));
    }
  }
  const Bytes of_token = new_kv_bytes(record.layer);
  if (record.written_tokens.empty()) {
    traffic.num_new_kv = of_token.value() > 0 ? static_cast<std::int64_t>(record.appended.size()) : 0;
    traffic.new_kv = of_token * traffic.num_new_kv;
  } else {
    for (std::size_t i = 0; i < record.appended.size(); ++i) {
      const Bytes written = new_kv_bytes(record, i);
      traffic.new_kv += written;
      traffic.num_new_kv += written.value() > 0 ? 1 : 0;
    }
  }
  return traffic;
}

}  // namespace kvplace
