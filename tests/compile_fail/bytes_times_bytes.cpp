// A time is a size by a bandwidth; a size times a size is nothing.
#include "kvplace/base/units.h"

#if KVPLACE_FAIL
constexpr kvplace::Seconds kTime = kvplace::Bytes(6) * kvplace::Bytes(2);
#else
constexpr kvplace::Seconds kTime = kvplace::Bytes(6) / kvplace::BytesPerSecond(2);
#endif
static_assert(kTime.value() == 3);
