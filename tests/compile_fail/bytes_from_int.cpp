// A plain number is no size: what it counts has to be said.
#include "kvplace/base/units.h"

#if KVPLACE_FAIL
constexpr kvplace::Bytes kSize = 5;
#else
constexpr kvplace::Bytes kSize(5);
#endif
static_assert(kSize.value() == 5);
