/// fifo:
///
///     on entry (read from far, or written):   push the block to the back of its layer's queue
///     on a hit:   nothing
///     while the layer is over its budget:   evict the front
#include "kvplace/policy/registry.h"
#include "policy/support/buffer_policy.h"
#include "policy/support/fifo_order.h"

namespace kvplace {

void register_policy_fifo(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "fifo";
  info.doc = "a hot buffer per layer, first in, first out";
  info.source = "classic";
  info.information = Information::kCausal;
  info.buffer_per_layer = true;
  info.make = [](const Parameters&) { return per_layer_buffers(FifoOrder()); };
  registry.add(std::move(info));
}

}  // namespace kvplace
