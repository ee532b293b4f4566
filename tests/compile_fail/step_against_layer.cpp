// A decode step and a layer are not of one order.
#include "kvplace/base/units.h"

#if KVPLACE_FAIL
static_assert(kvplace::StepIndex(1) < kvplace::LayerIndex(2));
#else
static_assert(kvplace::StepIndex(1) < kvplace::StepIndex(2));
#endif
