#include "kvplace/instance/instance.h"

#include <algorithm>
#include <cmath>
#include <functional>
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
Seconds arithmetic_floor(const InstanceSpec& spec, const TraceTotals& totals) {
  if (!spec.model || spec.hardware.peak_flops.value() <= 0) {
    return Seconds(0);
  }
  const double tokens_per_gpu = totals.verified_per_step() * spec.options.batch / spec.options.gpus;
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
  const StepTime step_time(share.machine, spec.options.overlap, arithmetic_floor(spec, totals),
                           spec.hardware.step_overhead);
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
    return tl::unexpected(unknown_block_size());
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
  for (std::uint32_t layer = 0; layer < layers_; ++layer) {
    kv_row_ += kv_block_bytes(LayerIndex(layer));
  }
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
  return check_totals();
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
  const std::vector<TracedLayer> none(1);
  for (const TracedLayer& layer : share_.layers.empty() ? none : share_.layers) {
    FixedLoads fixed;
    fixed.weights = options_.weight_bytes_per_step.value_or(layer.weight_bytes_per_step);
    const Bytes near(std::llround(static_cast<double>(fixed.weights.value()) * options_.weights_near));
    const Bytes far = fixed.weights - near;
    fixed.loads.add(Transfer::kReadNear, near, near.value() > 0 ? 1 : 0);
    fixed.loads.add(Transfer::kReadFar, far, far.value() > 0 ? 1 : 0);
    const Bytes other = layer.other_bytes_per_step;
    fixed.loads.add(Transfer::kReadNear, other, other.value() > 0 ? 1 : 0);
    fixed.near_per_token = layer.other_bytes_per_token;
    fixed_.push_back(fixed);
  }
  merge_like_ones(fixed_);
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
    batch_capacity_ = kv_row_ * blocks * batch;
  } else if (options.near_fraction) {
    const Bytes all = kv_row_ * std::int64_t{blocks_per_layer_ - layout_.experts} + all_expert_bytes();
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
  if (shares.empty()) {
    // C s_l / sum of s, whose product may not fit 64 bits.
    const std::int64_t rows = capacity_.value() / kv_row_.value();
    const std::int64_t rest = capacity_.value() % kv_row_.value();
    for (std::uint32_t layer = 0; layer < layers_; ++layer) {
      const Bytes size = kv_block_bytes(LayerIndex(layer));
      const Bytes of_rest = has_like_layers()
                                ? Bytes(rest / layers_)
                                : Bytes(static_cast<std::int64_t>(static_cast<double>(rest) * (size / kv_row_)));
      layer_capacity_.push_back(size * rows + of_rest);
    }
    return {};
  }
  KVPLACE_TRY(check_layer_shares(shares));
  if (shares.size() != layers_) {
    return bad_input("the trace has " + std::to_string(layers_) + " layers, but " + std::to_string(shares.size()) +
                     " layer budgets are given: give one for each layer");
  }
  if (has_like_layers()) {
    const Bytes size = kv_blocks_.front();
    for (const std::int64_t blocks : apportion(shares, capacity_.value() / size.value())) {
      layer_capacity_.push_back(size * blocks);
    }
    return {};
  }
  double bytes_of_one = 0;
  for (std::uint32_t layer = 0; layer < layers_; ++layer) {
    bytes_of_one += shares[layer] * static_cast<double>(kv_block_bytes(LayerIndex(layer)).value());
  }
  const double ones = static_cast<double>(capacity_.value()) / bytes_of_one;
  for (std::uint32_t layer = 0; layer < layers_; ++layer) {
    layer_capacity_.push_back(kv_block_bytes(LayerIndex(layer)) * static_cast<std::int64_t>(shares[layer] * ones));
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
  const Bytes all_kv = kv_row_ * (std::int64_t{blocks_per_layer_ - layout_.experts} * options_.batch);
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
  traffic.num_new_kv = of_token.value() > 0 ? static_cast<std::int64_t>(record.appended.size()) : 0;
  if (record.written_tokens.empty()) {
    traffic.new_kv = of_token * traffic.num_new_kv;
  } else {
    for (std::size_t i = 0; i < record.appended.size(); ++i) {
      traffic.new_kv += new_kv_bytes(record, i);
    }
  }
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
  for (std::uint32_t layer = 0; layer < layers_; ++layer) {
    const std::int64_t blocks = rooms[layer].value() / kv_block_bytes(LayerIndex(layer)).value();
    places.push_back(static_cast<std::uint32_t>(std::min<std::int64_t>(blocks, prompt_blocks)));
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
