/// What having a block near is worth by the prices of a certificate: the label to train a causal predictor on.
#pragma once

#include <string>

#include "kvplace/base/run_context.h"
#include "kvplace/bound/certificate.h"

namespace kvplace {

/// Writes a NumPy file of float32, one for each read of the trace in its order (t-major, by layer, ascending id): the
/// seconds that the block's being near just after the read saves until its next read, at the certificate's prices: the
/// far read or the promotion that it spares, less the price of the near memory it takes. Above 0: worth keeping. Minus
/// infinity for a block that is not read again. The bound is the sum of fixed costs and of each block's cheapest path,
/// and this is a path's reduced cost (docs/bound.md).
///
/// Errors: bad input in exclusive mode (leaving near has a price of its own there), or if the certificate is another
/// trace's. Memory: O(blocks + steps * layers + a chunk), and a temporary file.
[[nodiscard]] Status write_residency_values(const TraceReader& trace, const Instance& instance,
                                            const Certificate& certificate, const std::string& path,
                                            const RunContext& context);

}  // namespace kvplace
