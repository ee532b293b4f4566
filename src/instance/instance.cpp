#include "kvplace/instance/instance.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "instance/apportion.h"
#include "kvplace/base/parse.h"
#include "kvplace/base/short_text.h"
#include "kvplace/instance/layer_budgets.h"

namespace kvplace {
namespace {

/// Loads stay far below 2^63 whatever is added up in one decode step.
constexpr double kMostBytesPerDecodeStep = 1e18;

/// Two sizes for people, in full if they would look the same.
std::pair<std::string, std::string> two_sizes(Bytes a, Bytes b) {
  std::pair texts{short_bytes(static_cast<double>(a.value())), short_bytes(static_cast<double>(b.value()))};
  return texts.first == texts.second ? std::pair{format_bytes(a), format_bytes(b)} : texts;
}

/// All GPUs share the arithmetic of all requests.
Seconds arithmetic_floor(const InstanceSpec& spec) {
  if (!spec.model || spec.hardware.peak_flops.value() <= 0) {
    return Seconds(0);
  }
  const double tokens_per_gpu = static_cast<double>(spec.options.batch) / spec.options.gpus;
  return spec.model->flops_per_layer_per_step * tokens_per_gpu / spec.hardware.peak_flops;
}

std::string near_memory_is_full(const NearBudget& near, const InstanceSpec& spec, bool deployment) {
  const Hardware& hardware = spec.hardware;
  if (!deployment) {
    const auto [wanted, there] = two_sizes(near.weights, near.memory);
    const std::int64_t gpus = near.memory.value() > 0 ? (near.weights.value() - 1) / near.memory.value() + 1 : 0;
    return "the weights near (" + wanted + ") do not fit the near memory of " + hardware.name + " (" + there + ")" +
           (gpus > 0 ? "; it takes " + std::to_string(gpus) + " such processors or more: give --gpus" : "") +
           ", or say with --near-capacity what is left for KV";
  }
  std::string parts;
  for (const auto& [part, name] : {std::pair{near.weights, "weights"}, std::pair{near.reserve, "a reserve"},
                                   std::pair{near.selector, "index keys"}, std::pair{near.state, "states"},
                                   std::pair{near.window, "windows"}, std::pair{near.other_kv, "KV of other layers"}}) {
    if (part > Bytes(0)) {
      parts += (parts.empty() ? "" : ", ") + short_bytes(static_cast<double>(part.value())) + " of " + name;
    }
  }
  return "the near memory of " + hardware.name + " (" + short_bytes(static_cast<double>(near.memory.value())) +
         ") does not hold " + parts +
         " of a GPU: give more --gpus, a smaller --batch or --set options.reserve, or say " +
         "with --near-capacity what is left for KV";
}

Error unknown_block_size() {
  return {ErrorKind::kBadInput, "the trace does not say how large a block is: give --model NAME or --block-bytes SIZE"};
}

/// Nothing but experts is read; no KV page exists.
bool has_experts_alone(const BlockLayout& layout, std::uint32_t blocks_per_layer) {
  return layout.experts > 0 && blocks_per_layer == layout.experts;
}

/// Whether so many layers are those of the model whose KV grows, or those of them with the most KV.
bool is_of_some_layers(const Model& model, std::uint32_t layers) {
  Bytes most;
  for (const LayerGroup& group : model.groups) {
    most = group.grows() ? std::max(most, group.kv_bytes_per_token) : most;
  }
  std::uint32_t growing = 0;
  std::uint32_t with_most = 0;
  for (const LayerGroup& group : model.groups) {
    growing += group.grows() ? num_layers(group) : 0;
    with_most += group.grows() && group.kv_bytes_per_token == most ? num_layers(group) : 0;
  }
  return layers == growing || layers == with_most;
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
      return tl::unexpected(unknown_block_size());
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
  const StepTime step_time(share.machine, spec.options.overlap, arithmetic_floor(spec), spec.hardware.step_overhead);
  Instance instance(spec, std::move(share), step_time);
  instance.layout_ = meta.layout;
  instance.layers_ = meta.layers;
  instance.steps_ = totals.steps;
  instance.groups_ = StepGroups(totals.steps, meta.layers, spec.options.barrier);
  instance.blocks_per_layer_ = totals.blocks_per_layer;
  instance.prompt_experts_ = meta.prompt_experts;
  KVPLACE_TRY(instance.set_sizes(meta));
  KVPLACE_TRY(instance.set_capacity());
  KVPLACE_TRY(instance.divide_capacity());
  instance.note_what_does_not_fit();
  return instance;
}

Status Instance::set_sizes(const TraceMeta& meta) {
  const InstanceOptions& options = options_;
  const Model* model = spec_.model ? &*spec_.model : nullptr;
  if (options.block_bytes) {
    kv_block_ = *options.block_bytes;
  } else if (model != nullptr) {
    if (share_.traced_kv_differs) {
      return bad_input("the layers of model " + model->name + " that a trace of " + std::to_string(layers_) +
                       " layers is of differ in the KV of a token, but blocks have one size here: give --block-bytes");
    }
    kv_block_ = share_.kv_bytes_per_token * std::int64_t{layout_.block_tokens};
    const Bytes shape = kv_bytes_of_shape(model->attention);
    if (model->groups.empty() && shape != Bytes(0) && shape != model->kv_bytes_per_token_per_layer) {
      notes_.push_back("a token's KV in a layer is " + format_bytes(model->kv_bytes_per_token_per_layer) +
                       ", as kv_bytes_per_token_per_layer says; the model's shape and dtype make " +
                       format_bytes(shape));
    }
  } else if (meta.block_bytes) {
    kv_block_ = *meta.block_bytes;
  } else if (!has_experts_alone(layout_, blocks_per_layer_)) {
    return tl::unexpected(unknown_block_size());
  }
  if (layout_.experts > 0) {
    KVPLACE_TRY(set_expert_sizes(meta));
  }
  if (kv_block_.value() <= 0) {
    return bad_input("--block-bytes must be more than 0");
  }
  uniform_ = layout_.experts == 0 && !meta.has_read_bytes;
  new_kv_ = options.new_kv && !experts_alone()
                ? Bytes((kv_block_.value() + layout_.block_tokens - 1) / layout_.block_tokens)
                : Bytes(0);

  set_fixed_loads();
  if (model != nullptr && model->layers != layers_ && !is_of_some_layers(*model, layers_)) {
    notes_.push_back("the trace has " + std::to_string(layers_) + " layers, model " + model->name + " has " +
                     std::to_string(model->layers) +
                     ": sizes per layer are the model's, the number of layers the trace's");
  }
  const Bytes largest_expert =
      expert_blocks_.empty() ? Bytes(0) : *std::max_element(expert_blocks_.begin(), expert_blocks_.end());
  const double largest_block = static_cast<double>(std::max(kv_block_, largest_expert).value());
  const double most = largest_block * blocks_per_layer_ * layers_ * options.batch * 4.0 +
                      static_cast<double>(fixed_bytes_per_step().value()) * layers_;
  if (most > kMostBytesPerDecodeStep) {
    return bad_input("blocks of " + format_bytes(std::max(kv_block_, largest_expert)) + " x " +
                     std::to_string(options.batch) + " requests and " + format_bytes(weight_bytes_per_step_) +
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
    kv_block_ = *std::max_element(expert_blocks_.begin(), expert_blocks_.end());
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
  const Bytes near(std::llround(static_cast<double>(weight_bytes_per_step_.value()) * options_.weights_near));
  const Bytes far = weight_bytes_per_step_ - near;
  weight_loads_.add(Transfer::kReadNear, near, near.value() > 0 ? 1 : 0);
  weight_loads_.add(Transfer::kReadFar, far, far.value() > 0 ? 1 : 0);
  const Bytes other = share_.other_bytes_per_step;
  weight_loads_.add(Transfer::kReadNear, other, other.value() > 0 ? 1 : 0);
}

Status Instance::set_capacity() {
  const InstanceOptions& options = options_;
  const int given =
      (options.near_capacity ? 1 : 0) + (options.near_blocks_per_layer ? 1 : 0) + (options.near_fraction ? 1 : 0);
  if (given > 1) {
    return bad_input("give only one of --near-capacity, --near-blocks-per-layer and --near-fraction");
  }
  const std::int64_t batch = options.batch;
  if (options.near_blocks_per_layer) {
    const std::int64_t blocks = std::min(*options.near_blocks_per_layer, blocks_per_layer_);
    batch_capacity_ = experts_alone() ? Bytes(all_expert_bytes().value() / layout_.experts) * blocks
                                      : kv_block_ * (blocks * layers_) * batch;
  } else if (options.near_fraction) {
    const Bytes all = kv_block_ * (std::int64_t{blocks_per_layer_ - layout_.experts} * layers_) + all_expert_bytes();
    batch_capacity_ =
        Bytes(static_cast<std::int64_t>(static_cast<double>(all.value()) * *options.near_fraction)) * batch;
  } else if (options.near_capacity) {
    batch_capacity_ = *options.near_capacity;
  } else {
    batch_capacity_ = share_.near.kv;
    if (batch_capacity_.value() < 0) {
      return bad_input(near_memory_is_full(share_.near, spec_, share_.deployment));
    }
  }
  capacity_ = Bytes(batch_capacity_.value() / batch);
  return {};
}

Status Instance::divide_capacity() {
  const std::vector<double>& shares = options_.layer_shares;
  if (shares.empty() && experts_alone() && options_.near_blocks_per_layer) {
    const std::int64_t blocks = std::min(*options_.near_blocks_per_layer, blocks_per_layer_);
    for (const Bytes expert : expert_blocks_) {
      layer_capacity_.push_back(expert * blocks);
    }
    return {};
  }
  if (shares.empty()) {
    layer_capacity_.assign(layers_, Bytes(capacity_.value() / layers_));
    return {};
  }
  KVPLACE_TRY(check_layer_shares(shares));
  if (shares.size() != layers_) {
    return bad_input("the trace has " + std::to_string(layers_) + " layers, but " + std::to_string(shares.size()) +
                     " layer budgets are given: give one for each layer");
  }
  const std::vector<std::int64_t> blocks = apportion(shares, capacity_.value() / kv_block_.value());
  for (const std::int64_t in_layer : blocks) {
    layer_capacity_.push_back(kv_block_ * in_layer);
  }
  return {};
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

void Instance::note_what_does_not_fit() {
  const Bytes all_kv = kv_block_ * (std::int64_t{blocks_per_layer_ - layout_.experts} * layers_ * options_.batch);
  const Bytes far = share_.machine.far.capacity;
  const Hardware& hardware = spec_.hardware;
  if (hardware.gpus > spec_.options.gpus) {
    notes_.push_back(hardware.name + " has " + std::to_string(hardware.gpus) + " GPUs, of which " +
                     (spec_.options.gpus == 1 ? "one works" : std::to_string(spec_.options.gpus) + " work") +
                     " on this: --gpus says how many");
  } else if (spec_.options.gpus > 1 && hardware.far.shared_by <= 1) {
    notes_.push_back(hardware.name + " is described as one GPU's: each of the " + std::to_string(spec_.options.gpus) +
                     " has far memory of its own");
  }
  if (spec_.options.mode == Mode::kInclusive && all_kv > far) {
    const auto [needed, held] = two_sizes(all_kv, far);
    notes_.push_back("inclusive mode keeps a copy of all KV in far memory: at the trace's end that is about " + needed +
                     ", but " + spec_.hardware.name + " has " + held +
                     "; the times are computed as if it were enough (--mode exclusive keeps no second copy)");
  }
  const Bytes near = capacity_ * std::int64_t{options_.batch};
  if (near > spec_.hardware.near.capacity) {
    const std::string what = layout_.experts > 0 ? "KV and experts" : "KV";
    const auto [wanted, there] = two_sizes(near, spec_.hardware.near.capacity);
    notes_.push_back("the near capacity for " + what + ", " + wanted + ", is more than " + spec_.hardware.name +
                     " has (" + there + ")");
  }
}

Bytes Instance::bytes_of_read(const StepView& record, std::size_t read) const {
  const Bytes whole = block_bytes(record.layer, record.reads[read]);
  const bool partial = !record.read_bytes.empty() && record.read_bytes[read] != 0;
  return partial ? std::min(whole, Bytes(record.read_bytes[read])) : whole;
}

StepTraffic Instance::traffic(const StepView& record) const {
  StepTraffic traffic;
  traffic.num_reads = static_cast<std::int64_t>(record.reads.size());
  if (uniform_) {
    traffic.reads = kv_block_ * traffic.num_reads;
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
  traffic.num_new_kv = new_kv_.value() > 0 ? static_cast<std::int64_t>(record.appended.size()) : 0;
  traffic.new_kv = new_kv_ * traffic.num_new_kv;
  return traffic;
}

/// What the prompt used last of each layer's experts, as far as the layer's room goes.
void Instance::add_prompt_experts(std::vector<Bytes>& rooms, std::vector<BlockIndex>& near) const {
  std::size_t most = 0;
  std::vector<std::size_t> places;  // by layer
  for (std::size_t layer = 0; layer < prompt_experts_.size(); ++layer) {
    const Bytes size = expert_blocks_[layer];
    const auto fit = static_cast<std::size_t>(rooms[layer].value() / size.value());
    places.push_back(std::min(fit, prompt_experts_[layer].size()));
    rooms[layer] -= size * static_cast<std::int64_t>(places.back());
    most = std::max(most, places.back());
  }
  for (std::size_t from_last = most; from_last > 0; --from_last) {
    for (std::uint32_t layer = 0; layer < places.size(); ++layer) {
      if (from_last <= places[layer]) {
        const std::vector<std::uint32_t>& used = prompt_experts_[layer];
        near.push_back(index(LayerIndex(layer), BlockId(used[used.size() - from_last])));
      }
    }
  }
}

std::vector<BlockIndex> Instance::initial_near() const {
  std::vector<BlockIndex> near;
  if (spec_.options.start == Start::kEmpty) {
    return near;
  }
  std::vector<Bytes> rooms = layer_capacity_;
  add_prompt_experts(rooms, near);
  const std::uint32_t prompt_blocks = layout_.prompt_pages() * layout_.requests;
  std::vector<std::uint32_t> places;  // by layer
  for (const Bytes room : rooms) {
    places.push_back(
        static_cast<std::uint32_t>(std::min<std::int64_t>(room.value() / kv_block_.value(), prompt_blocks)));
  }
  const std::uint32_t most = places.empty() ? 0 : *std::max_element(places.begin(), places.end());
  const std::uint32_t end = layout_.initial_blocks();
  for (std::uint32_t id = end - most; id < end; ++id) {
    for (std::uint32_t layer = 0; layer < layers_; ++layer) {
      if (end - id <= places[layer]) {
        near.push_back(index(LayerIndex(layer), BlockId(id)));
      }
    }
  }
  return near;
}

}  // namespace kvplace
