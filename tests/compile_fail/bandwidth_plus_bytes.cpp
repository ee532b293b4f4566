// A bandwidth and a size do not add.
#include "kvplace/base/units.h"

#if KVPLACE_FAIL
constexpr auto kSum = kvplace::BytesPerSecond(1) + kvplace::Bytes(1);
#else
constexpr auto kSum = kvplace::BytesPerSecond(1) + kvplace::BytesPerSecond(1);
#endif
static_assert(kSum.value() == 2);
