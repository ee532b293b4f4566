// A size and a time do not add.
#include "kvplace/base/units.h"

#if KVPLACE_FAIL
constexpr auto kSum = kvplace::Bytes(1) + kvplace::Seconds(1);
#else
constexpr auto kSum = kvplace::Bytes(1) + kvplace::Bytes(1);
#endif
static_assert(kSum.value() == 2);
