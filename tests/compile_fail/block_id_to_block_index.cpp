// A block's number within its layer is not its number among all layers.
#include "kvplace/base/units.h"

constexpr kvplace::BlockId kBlock(7);
#if KVPLACE_FAIL
constexpr kvplace::BlockIndex kIndex = kBlock;
#else
constexpr kvplace::BlockIndex kIndex(kBlock.value());
#endif
static_assert(kIndex.value() == 7);
