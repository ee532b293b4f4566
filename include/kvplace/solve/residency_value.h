/// What having a block near is worth by the prices of a certificate: the label to train a causal predictor on.
#pragma once

#include <string>

#include "kvplace/base/run_context.h"
#include "kvplace/bound/certificate.h"

namespace kvplace {

/// Writes a NumPy file of float32, one for each read of the trace in its order (t-major, by layer, ascending id): the
/// seconds that the block's being near just after the read saves, at the certificate's prices, less the price of the
/// near memory it takes. The bound is the sum of fixed costs and of each block's cheapest path, and this is a path's
/// reduced cost (docs/bound.md).
///
/// Inclusive mode: what is saved until the block's next read, the far read or the promotion; above 0: worth keeping;
/// minus infinity for a block that is not read again. Exclusive mode, where leaving near costs a transfer: the cheapest
/// future of the block if far, less that if near; worth keeping unless it is below minus what its eviction costs.
///
/// Errors: bad input if the certificate is another trace's. Memory: O(blocks + steps * layers * log of that + a chunk),
/// and a temporary file.
[[nodiscard]] Status write_residency_values(const TraceReader& trace, const Instance& instance,
                                            const Certificate& certificate, const std::string& path,
                                            const RunContext& context);

}  // namespace kvplace
