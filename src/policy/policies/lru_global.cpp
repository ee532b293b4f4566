/// lru-global:
///
///     as lru, with one list and one budget for all layers:
///     on a hit or an entry:   the block goes to the back
///     while near memory is full:   evict the front, of whichever layer it is
#include "kvplace/policy/registry.h"
#include "policy/support/buffer_policy.h"
#include "policy/support/lru_order.h"

namespace kvplace {

void register_policy_lru_global(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "lru-global";
  info.doc = "one least-recently-used list over all layers";
  info.source = "classic";
  info.information = Information::kCausal;
  info.make = [](const Parameters&) -> AnyPolicy {
    return std::unique_ptr<CausalPolicy>(
        std::make_unique<BufferPolicy<LruOrder>>(Pooling::kAllLayers, Entering::kWrittenAndMisses));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
