/// static:
///
///     what is near at the start stays
///     on a write of a new block:   it stays near while there is room
///     nothing is promoted, nothing is evicted
#include "kvplace/policy/registry.h"

namespace kvplace {
namespace {

class StaticPolicy final : public CausalPolicy {
 public:
  void start(const PolicyContext& context) override {
    instance_ = context.instance;
    room_ = instance_->capacity();
    for (const BlockIndex block : context.initial_near) {
      room_ -= instance_->block_bytes(block);
    }
  }

  void step(const StepInput& input, Decision& decision) override {
    for (const BlockIndex block : input.ended) {
      room_ += instance_->block_bytes(block);
    }
    for (std::size_t i = 0; i < input.written.size(); ++i) {
      const BlockIndex block = input.written[i];
      const Bytes size = instance_->block_bytes(block);
      if (input.written_is_new[i] != 0 && size <= room_) {
        room_ -= size;
        decision.promote.push_back(block);
      }
    }
  }

 private:
  const Instance* instance_ = nullptr;
  Bytes room_;
};

}  // namespace

void register_policy_static(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "static";
  info.doc = "what is near at the start stays; new blocks stay near while there is room; nothing moves";
  info.source = "Fang et al., arXiv 2508.13231";
  info.information = Information::kCausal;
  info.make = [](const Parameters&) -> AnyPolicy {
    return std::unique_ptr<CausalPolicy>(std::make_unique<StaticPolicy>());
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
