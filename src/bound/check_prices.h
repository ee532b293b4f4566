/// Whether a certificate belongs to a trace and its prices are valid (docs/certificate.md, "What is checked").
#pragma once

#include <vector>

#include "bound/int128.h"
#include "kvplace/base/result.h"
#include "kvplace/bound/certificate.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// What can be said without the trace's records.
struct PriceTotals {
  Int128 overhead_ticks = 0;
  Int128 capacity_ticks = 0;        ///< what all of near memory costs over all rows
  std::vector<Int128> floor_ticks;  ///< by group, what the prices leave of the floor; empty if there is no floor
};

/// Errors are of kind kRejected and say what does not hold, without the certificate's name. When there is none, no cost
/// of a block over all steps reaches 2^62 ticks, and every total fits 128 bits.
[[nodiscard]] Result<PriceTotals> check_prices(const Certificate& certificate, const TraceReader& trace);

}  // namespace kvplace
