/// look-ahead:
///
///     known: the layer's reads in the next w decode steps
///     to enter: blocks read there: the written, the missed, then the others in the order they are told
///     room: free room, then blocks of any layer that are not told to be read, longest so first
#include "kvplace/policy/registry.h"
#include "policy/support/recency_queue.h"

namespace kvplace {
namespace {

/// Brings in what the next decode steps read, in the place of what they do not read. Layer by layer: each moves its own
/// blocks, room is made by those of any.
class LookAheadPolicy final : public LookaheadPolicy {
 public:
  explicit LookAheadPolicy(std::uint32_t window) : window_(window) {}

  [[nodiscard]] std::uint32_t horizon() const override { return window_; }

  void start(const PolicyContext& context) override {
    instance_ = context.instance;
    room_ = instance_->capacity();
    blocks_.assign(instance_->num_blocks(), {});
    times_.reset(instance_->num_blocks());
    idle_ = RecencyQueue(times_);
    for (std::uint32_t layer = 0; layer < instance_->layers(); ++layer) {
      for (std::uint32_t id = 0; id < instance_->layout().initial_blocks(); ++id) {
        blocks_[instance_->index(LayerIndex(layer), BlockId(id)).value()].exists = true;
      }
    }
    for (const BlockIndex block : context.initial_near) {
      blocks_[block.value()].near = true;
      room_ -= instance_->block_bytes(block);
    }
    start_near_.assign(context.initial_near.begin(), context.initial_near.end());
  }

  void step(const StepInput& input, const Lookahead& lookahead, Decision& decision) override {
    const std::uint32_t now = input.step.value();
    for (const BlockIndex block : input.ended) {
      idle_.remove(block);
      room_ += instance_->block_bytes(block);
      blocks_[block.value()] = {};
    }
    for (const BlockIndex block : input.written) {
      blocks_[block.value()].exists = true;
    }
    const std::uint32_t first = now + (now == 0 ? 1 : window_);
    for (std::uint32_t step = first; step <= now + window_; ++step) {
      for (const BlockId id : lookahead.reads(StepIndex(step), input.layer)) {
        want(instance_->index(input.layer, id), step, now);
      }
    }
    if (now == 0) {
      // Only now is it known which of the blocks near at the start are not read soon.
      for (const BlockIndex block : start_near_) {
        if (instance_->layer_of(block) == input.layer) {
          rest(block, now);
        }
      }
    }
    for (const BlockId id : lookahead.reads(input.step, input.layer)) {
      rest(instance_->index(input.layer, id), now);
    }
    for (const BlockIndex block : input.hits) {
      rest(block, now);
    }
    for (const BlockIndex block : input.written) {
      bring_in(block, now, decision);
    }
    for (const BlockIndex block : input.misses) {
      bring_in(block, now, decision);
    }
    for (std::uint32_t step = first; step <= now + window_; ++step) {
      for (const BlockId id : lookahead.reads(StepIndex(step), input.layer)) {
        bring_in(instance_->index(input.layer, id), now, decision);
      }
    }
  }

 private:
  struct Block {
    bool near = false;
    bool exists = false;
    std::uint32_t wanted_in = 0;  // the last decode step that is told to read it
  };

  /// A block that is told to be read cannot leave before.
  void want(BlockIndex block, std::uint32_t step, std::uint32_t now) {
    Block& b = blocks_[block.value()];
    if (b.near && b.wanted_in <= now) {
      idle_.remove(block);
    }
    b.wanted_in = step;
  }
  void rest(BlockIndex block, std::uint32_t now) {
    const Block& b = blocks_[block.value()];
    if (b.near && b.wanted_in <= now) {
      idle_.touch(block);
    }
  }
  void bring_in(BlockIndex block, std::uint32_t now, Decision& decision) {
    Block& b = blocks_[block.value()];
    if (b.near || !b.exists || b.wanted_in <= now) {
      return;
    }
    const Bytes size = instance_->block_bytes(block);
    while (room_ < size && !idle_.empty()) {
      const BlockIndex victim = idle_.pop();
      blocks_[victim.value()].near = false;
      room_ += instance_->block_bytes(victim);
      decision.evict.push_back(victim);
    }
    if (size <= room_) {
      room_ -= size;
      b.near = true;
      decision.promote.push_back(block);
    }
  }

  std::uint32_t window_;  // decode steps
  const Instance* instance_ = nullptr;
  Bytes room_;
  std::vector<Block> blocks_;  // by BlockIndex
  std::vector<BlockIndex> start_near_;
  TouchTimes times_;
  RecencyQueue idle_{times_};  // near, not told to be read; longest unread first
};

}  // namespace

void register_policy_look_ahead(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "look-ahead";
  info.doc = "brings in what the next W decode steps read, in the place of what they do not read";
  info.source = "LookAheadMigration in the code before Fang et al., arXiv 2508.13231";
  info.information = Information::kLookahead;
  info.parameters = {{"w", "W, how far it looks ahead", "decode steps", 1, 1, 127, true}};
  info.by_default = false;
  info.make = [](const Parameters& p) -> AnyPolicy {
    return std::unique_ptr<LookaheadPolicy>(std::make_unique<LookAheadPolicy>(static_cast<std::uint32_t>(p.at("w"))));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
