/// layer-prefetch:
///
///     as lru;  then, in layer l's step:
///     for up to `limit` of the ids that l missed, then hit:   promote the block of layer l + 1, if it is far
///     each enters as most recently used, and the least recently used of layer l + 1 leave
#include "kvplace/policy/registry.h"
#include "policy/support/lru_buffers.h"

namespace kvplace {
namespace {

/// LRU per layer. In the step of layer l, blocks of layer l + 1 with the ids that layer l reads, and that are far, come
/// in ahead of its step: those that layer l missed first. Each is an active promotion, whether it is read then or not.
class LayerPrefetchPolicy final : public CausalPolicy {
 public:
  explicit LayerPrefetchPolicy(std::uint32_t limit) : limit_(limit) {}

  void start(const PolicyContext& context) override {
    instance_ = context.instance;
    buffers_.start(context);
    exists_.assign(instance_->num_blocks(), 0);
    for (std::uint32_t layer = 0; layer < instance_->layers(); ++layer) {
      for (std::uint32_t id = 0; id < instance_->layout().initial_blocks(); ++id) {
        exists_[instance_->index(LayerIndex(layer), BlockId(id)).value()] = 1;
      }
    }
  }

  void step(const StepInput& input, Decision& decision) override {
    buffers_.end(input.ended);
    for (const BlockIndex block : input.ended) {
      exists_[block.value()] = 0;
    }
    for (const BlockIndex block : input.hits) {
      buffers_.use(block);
    }
    for_each_entering(input, [this](BlockIndex block) {
      exists_[block.value()] = 1;
      buffers_.enter(block);
    });
    buffers_.shrink(input.layer, decision);
    const LayerIndex next(input.layer.value() + 1);
    if (next.value() < instance_->layers()) {
      left_ = limit_;
      prefetch(next, input.misses);
      prefetch(next, input.hits);
      buffers_.shrink(next, decision);
    }
    buffers_.settle(decision);
  }

 private:
  void prefetch(LayerIndex layer, std::span<const BlockIndex> read) {
    for (std::size_t i = 0; i < read.size() && left_ > 0; ++i) {
      const BlockIndex block = instance_->index(layer, instance_->id_of(read[i]));
      if (exists_[block.value()] != 0 && !buffers_.holds(block)) {
        buffers_.enter(block);
        --left_;
      }
    }
  }

  std::uint32_t limit_;  // blocks per step
  std::uint32_t left_ = 0;
  const Instance* instance_ = nullptr;
  LruBuffers buffers_;
  std::vector<std::uint8_t> exists_;  // by BlockIndex
};

}  // namespace

void register_policy_layer_prefetch(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "layer-prefetch";
  info.doc = "LRU per layer, and far blocks of the next layer that have the ids just read come in ahead";
  info.source = "HiSparse's layer prefetch (arXiv 2608.07009), for layers that do not share their selection";
  info.information = Information::kCausal;
  info.parameters = {{"limit", "blocks that come in ahead, at most", "blocks per step", 4, 0, 1e6, true}};
  info.by_default = false;
  info.make = [](const Parameters& p) -> AnyPolicy {
    return std::unique_ptr<CausalPolicy>(
        std::make_unique<LayerPrefetchPolicy>(static_cast<std::uint32_t>(p.at("limit"))));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
