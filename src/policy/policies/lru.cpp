/// lru:
///
///     on a hit:   move the block to the back of its layer's list
///     on entry (read from far, or written):   push it to the back
///     while the layer is over its budget:   evict the front
///     a hit is noted before anything enters
#include "kvplace/policy/registry.h"
#include "policy/support/buffer_policy.h"
#include "policy/support/lru_order.h"

namespace kvplace {

void register_policy_lru(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "lru";
  info.doc = "a hot buffer per layer, least recently used out; what engines ship today";
  info.source = "HiSparse in SGLang and vLLM (arXiv 2608.07009)";
  info.information = Information::kCausal;
  info.buffer_per_layer = true;
  info.make = [](const Parameters&) { return per_layer_buffers(LruOrder()); };
  registry.add(std::move(info));
}

}  // namespace kvplace
