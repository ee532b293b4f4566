/// An instance belongs to the trace it was made for.
#pragma once

#include "kvplace/instance/instance.h"
#include "kvplace/trace/reader.h"

namespace kvplace::python {

/// Refuses an instance that was made for another trace: its arrays would have the wrong sizes. Throws ErrorException.
void check_same(const TraceReader& trace, const Instance& instance);

}  // namespace kvplace::python
