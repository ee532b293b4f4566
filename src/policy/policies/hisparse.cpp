/// hisparse:
///
///     for each request and layer: B slots in order of use
///     on a read of k blocks:   misses take free slots, then the slots of the least recently used blocks not read now
///     new order:   blocks not read, as they were;  misses;  hits, as they were
///     what does not fit a slot is read from far and does not enter
#include <algorithm>

#include "kvplace/policy/registry.h"
#include "policy/support/block_list.h"
#include "policy/support/buffer_policy.h"

namespace kvplace {
namespace {

/// The buffer of HiSparse, for each request and layer: B slots, and one for the block that is being written, which is
/// near by rule in its step and on the far side after it (write-through). So B is one less than what near has room for.
///
/// While a request has no more than B blocks each gets a slot and none moves. Then each block read gets one: misses in
/// the place of the least recently used, never of one read in this step. Afterwards those not read come first, as they
/// were, then the misses in their order, then the hits, as they were.
class HiSparsePolicy final : public CausalPolicy {
 public:
  void start(const PolicyContext& context) override {
    instance_ = context.instance;
    const BlockLayout& layout = instance_->layout();
    const auto slots = [&](std::uint32_t layer) {
      const std::int64_t places = instance_->layer_capacity(LayerIndex(layer)).value() /
                                  instance_->kv_block_bytes(LayerIndex(layer)).value() / layout.most_running();
      return places > 1 ? static_cast<std::uint32_t>(places - 1) : 0;
    };
    links_.reset(*instance_);
    buffers_.clear();
    for (std::uint32_t layer = 0; layer < instance_->layers(); ++layer) {
      for (std::uint32_t request = 0; request < layout.requests; ++request) {
        buffers_.push_back({BlockList(links_), slots(layer), 0, layout.prompt_pages(request)});
      }
    }
    order_.assign(instance_->num_blocks(), 0);
    clock_ = 0;
    hits_of_.assign(layout.requests, {});
    misses_of_.assign(layout.requests, {});
    for (const BlockIndex block : context.initial_near) {
      append(buffer_of(block), block);
    }
  }

  void step(const StepInput& input, Decision& decision) override {
    for (const BlockIndex block : input.ended) {
      buffer_of(block).slots.remove(block);
      --buffer_of(block).used;
    }
    sort_by_request(input.hits, hits_of_);
    sort_by_request(input.misses, misses_of_);
    for (std::uint32_t request = 0; request < hits_of_.size(); ++request) {
      drop_surplus(buffers_[input.layer.value() * hits_of_.size() + request], hits_of_[request], decision);
    }
    for (const BlockIndex block : input.written) {
      take_written(block, decision);
    }
    for (std::uint32_t request = 0; request < hits_of_.size(); ++request) {
      if (hits_of_[request].empty() && misses_of_[request].empty()) {
        continue;
      }
      serve(buffers_[input.layer.value() * hits_of_.size() + request], hits_of_[request], misses_of_[request],
            decision);
    }
  }

 private:
  struct Buffer {
    BlockList slots;       // used ones, least recently used first
    std::uint32_t size;    // B
    std::uint32_t used;    // how many
    std::uint32_t length;  // blocks that the request has
  };

  [[nodiscard]] bool is_page(BlockIndex block) const {
    return instance_->layout().kind(instance_->id_of(block)) == BlockKind::kKvPage;
  }
  [[nodiscard]] Buffer& buffer_of(BlockIndex block) {
    const BlockLayout& layout = instance_->layout();
    return buffers_[std::size_t{instance_->layer_of(block).value()} * layout.requests +
                    layout.request(instance_->id_of(block))];
  }
  /// Experts are not its business.
  void sort_by_request(std::span<const BlockIndex> blocks, std::vector<std::vector<BlockIndex>>& by_request) const {
    for (std::vector<BlockIndex>& of_request : by_request) {
      of_request.clear();
    }
    for (const BlockIndex block : blocks) {
      if (is_page(block)) {
        by_request[instance_->layout().request(instance_->id_of(block))].push_back(block);
      }
    }
  }
  void append(Buffer& buffer, BlockIndex block) {
    buffer.slots.push_back(block);
    ++buffer.used;
    order_[block.value()] = ++clock_;
  }
  /// What is near at the start may be more than the slots: the oldest that are not read leave.
  void drop_surplus(Buffer& buffer, std::vector<BlockIndex>& hits, Decision& decision) {
    while (buffer.used > buffer.size) {
      BlockIndex block = buffer.slots.front();
      while (block != buffer.slots.back() && std::binary_search(hits.begin(), hits.end(), block)) {
        block = buffer.slots.after(block);
      }
      std::erase(hits, block);
      buffer.slots.remove(block);
      --buffer.used;
      decision.evict.push_back(block);
    }
  }

  void take_written(BlockIndex block, Decision& decision) {
    Buffer& buffer = buffer_of(block);
    buffer.length = std::max(buffer.length, instance_->layout().page(instance_->id_of(block)) + 1);
    if (buffer.length <= buffer.size) {
      append(buffer, block);
      decision.promote.push_back(block);
    }
  }

  void serve(Buffer& buffer, std::vector<BlockIndex>& hits, const std::vector<BlockIndex>& misses, Decision& decision) {
    const bool all_fit = buffer.length <= buffer.size;
    if (!all_fit) {
      std::sort(hits.begin(), hits.end(),
                [this](BlockIndex a, BlockIndex b) { return order_[a.value()] < order_[b.value()]; });
      for (const BlockIndex block : hits) {
        buffer.slots.remove(block);
      }
    }
    entering_.clear();
    for (const BlockIndex block : misses) {
      if (buffer.used == buffer.size) {
        if (buffer.slots.empty()) {
          break;  // fewer slots than blocks read: an engine refuses that, here the rest is read from far
        }
        decision.evict.push_back(buffer.slots.pop_front());
        --buffer.used;
      }
      ++buffer.used;
      entering_.push_back(block);
      decision.promote.push_back(block);
    }
    for (const BlockIndex block : entering_) {
      buffer.slots.push_back(block);
      order_[block.value()] = ++clock_;
    }
    if (!all_fit) {
      for (const BlockIndex block : hits) {
        buffer.slots.push_back(block);
        order_[block.value()] = ++clock_;
      }
    }
  }

  const Instance* instance_ = nullptr;
  BlockLinks links_;
  std::vector<Buffer> buffers_;       // by layer, then request
  std::vector<std::uint64_t> order_;  // by BlockIndex: grows along a buffer's slots
  std::uint64_t clock_ = 0;
  std::vector<std::vector<BlockIndex>> hits_of_;  // by request
  std::vector<std::vector<BlockIndex>> misses_of_;
  std::vector<BlockIndex> entering_;
};

}  // namespace

void register_policy_hisparse(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "hisparse";
  info.doc =
      "the hot buffer of HiSparse by its exact rules: B slots, and one for the block being written, which is not kept";
  info.source = "SGLang's kernel load_cache_to_device_buffer, ported by vLLM; arXiv 2608.07009";
  info.information = Information::kCausal;
  info.by_default = false;
  info.buffer_per_layer = true;
  info.buffer_per_request = true;
  info.make = [](const Parameters&) -> AnyPolicy {
    return std::unique_ptr<CausalPolicy>(std::make_unique<HiSparsePolicy>());
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
