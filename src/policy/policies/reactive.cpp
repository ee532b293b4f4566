/// reactive:
///
///     on a far read:   the block enters, at the back of one queue for all layers
///     on a hit, and on a write:   nothing
///     while near memory is full:   evict the front
#include "kvplace/policy/registry.h"
#include "policy/support/buffer_policy.h"
#include "policy/support/fifo_order.h"

namespace kvplace {

void register_policy_reactive(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "reactive";
  info.doc = "every block read from far enters near, over all layers; the one longest near leaves";
  info.source = "Fang et al., arXiv 2508.13231";
  info.information = Information::kCausal;
  info.make = [](const Parameters&) -> AnyPolicy {
    return std::unique_ptr<CausalPolicy>(
        std::make_unique<BufferPolicy<FifoOrder>>(Pooling::kAllLayers, Entering::kMisses));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
