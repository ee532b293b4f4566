/// layer-importance:
///
///     importance(layer) = uses so far / distinct blocks used so far, ranked anew in each decode step
///     on a hit or an entry:   the block goes to the back of its layer's list
///     to make room:   evict the front of the least important layer that holds any
#include <algorithm>
#include <numeric>

#include "kvplace/policy/registry.h"
#include "policy/support/block_list.h"
#include "policy/support/buffer_policy.h"

namespace kvplace {
namespace {

/// A layer is as important as its blocks are read often: reads so far over distinct blocks read so far. Blocks of the
/// least important layer leave first, in it the least recently used.
class ImportanceOrder {
 public:
  void start(const PolicyContext& context, std::size_t) {
    instance_ = context.instance;
    links_.reset(*instance_);
    layers_.assign(instance_->layers(), Layer{BlockList(links_), 0, 0});
    was_read_.assign(instance_->num_blocks(), 0);
    order_.resize(layers_.size());
    std::iota(order_.begin(), order_.end(), std::uint32_t{0});
    place_ = order_;
    first_ = 0;
    ranked_in_ = 0;
  }
  void begin(std::size_t, StepIndex step) {
    if (step.value() != ranked_in_) {
      ranked_in_ = step.value();
      rank_layers();
    }
  }
  void hit(std::size_t, std::span<const BlockIndex> hits) {
    for (const BlockIndex block : hits) {
      count_use(block).blocks.move_to_back(block);
    }
  }
  void insert(std::size_t, BlockIndex block) {
    count_use(block).blocks.push_back(block);
    first_ = std::min(first_, place_[instance_->layer_of(block).value()]);
  }
  void remove(std::size_t, std::span<const BlockIndex> ended) {
    for (const BlockIndex block : ended) {
      layers_[instance_->layer_of(block).value()].blocks.remove(block);
    }
  }
  BlockIndex take_victim(std::size_t) {
    while (layers_[order_[first_]].blocks.empty()) {
      ++first_;
    }
    return layers_[order_[first_]].blocks.pop_front();
  }

 private:
  struct Layer {
    BlockList blocks;  // near
    std::uint64_t reads;
    std::uint64_t distinct;
    [[nodiscard]] double importance() const {
      return distinct == 0 ? 0 : static_cast<double>(reads) / static_cast<double>(distinct);
    }
  };

  Layer& count_use(BlockIndex block) {
    Layer& layer = layers_[instance_->layer_of(block).value()];
    ++layer.reads;
    layer.distinct += was_read_[block.value()] == 0 ? 1u : 0u;
    was_read_[block.value()] = 1;
    return layer;
  }
  void rank_layers() {
    std::sort(order_.begin(), order_.end(), [this](std::uint32_t a, std::uint32_t b) {
      const double of_a = layers_[a].importance();
      const double of_b = layers_[b].importance();
      return of_a != of_b ? of_a < of_b : a < b;
    });
    for (std::uint32_t i = 0; i < order_.size(); ++i) {
      place_[order_[i]] = i;
    }
    first_ = 0;
  }

  const Instance* instance_ = nullptr;
  BlockLinks links_;
  std::vector<Layer> layers_;
  std::vector<std::uint8_t> was_read_;  // by BlockIndex
  std::vector<std::uint32_t> order_;    // layers, least important first
  std::vector<std::uint32_t> place_;    // by layer: where in order_
  std::uint32_t first_ = 0;             // no layer before it in order_ has blocks near
  std::uint32_t ranked_in_ = 0;         // decode step
};

}  // namespace

void register_policy_layer_importance(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "layer-importance";
  info.doc = "one buffer over all layers; blocks of the layer that reads its blocks least often leave first";
  info.source = "after LayerImportance in the code before Fang et al., arXiv 2508.13231";
  info.information = Information::kCausal;
  info.by_default = false;
  info.make = [](const Parameters&) -> AnyPolicy {
    return std::unique_ptr<CausalPolicy>(
        std::make_unique<BufferPolicy<ImportanceOrder>>(Pooling::kAllLayers, Entering::kWrittenAndMisses));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
