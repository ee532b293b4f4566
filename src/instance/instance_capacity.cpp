// How much near memory an instance has for KV, how layers divide it, and what is in it at the start.
#include <algorithm>
#include <utility>

#include "instance/apportion.h"
#include "kvplace/base/parse.h"
#include "kvplace/base/short_text.h"
#include "kvplace/instance/instance.h"
#include "kvplace/instance/layer_budgets.h"

namespace kvplace {
namespace {

/// Two sizes for people, in full if they would look the same.
std::pair<std::string, std::string> two_sizes(Bytes a, Bytes b) {
  std::pair texts{short_bytes(static_cast<double>(a.value())), short_bytes(static_cast<double>(b.value()))};
  return texts.first == texts.second ? std::pair{format_bytes(a), format_bytes(b)} : texts;
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

}  // namespace

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
    const Bytes all = kv_row_ * std::int64_t{most_pages()} + all_expert_bytes();
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

void Instance::note_what_does_not_fit() {
  const Bytes block = block_sizes().front();
  const Bytes most_of_layer = *std::max_element(layer_capacity_.begin(), layer_capacity_.end());
  if (blocks_per_layer_ > 0 && capacity_ < block) {
    notes_.push_back("the near capacity of a request, " + format_bytes(capacity_) + ", holds no block of " +
                     format_bytes(block) + ": all is read from far");
  } else if (blocks_per_layer_ > 0 && most_of_layer < block) {
    notes_.push_back("the near capacity of a request and layer, " + format_bytes(most_of_layer) +
                     ", holds no block of " + format_bytes(block) + ": policies with a buffer per layer keep nothing");
  }
  const Bytes all_kv = kv_row_ * (std::int64_t{most_pages()} * options_.batch);
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
    notes_.push_back("inclusive mode keeps a copy of all KV in far memory: at the trace's " +
                     std::string(layout_.served != nullptr ? "fullest" : "end") + " that is about " + needed +
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
  const std::uint32_t prompt_blocks = layout_.initial_blocks() - layout_.experts;
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
