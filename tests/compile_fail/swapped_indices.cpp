// A block and a layer given in the wrong order.
#include "kvplace/base/units.h"

constexpr std::uint32_t position(kvplace::LayerIndex layer, kvplace::BlockId block) {
  return layer.value() * 100 + block.value();
}

#if KVPLACE_FAIL
static_assert(position(kvplace::BlockId(7), kvplace::LayerIndex(3)) == 307);
#else
static_assert(position(kvplace::LayerIndex(3), kvplace::BlockId(7)) == 307);
#endif
