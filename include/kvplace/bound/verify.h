/// Recomputes what a certificate proves, from the trace and the certificate alone, in plain scalar integer code that
/// shares nothing with the solver (docs/certificate.md).
#pragma once

#include <string>

#include "kvplace/base/run_context.h"
#include "kvplace/bound/certificate.h"

namespace kvplace {

/// A proven lower bound on the total time of every schedule of the instance.
struct VerifiedBound {
  Seconds bound;              ///< rounded down
  std::string bound_exact;    ///< "p/q" seconds, in lowest terms
  std::string bound_decimal;  ///< rounded down, 18 significant digits
};

/// One streaming pass; memory O(blocks). Errors of kind kRejected name what does not hold: another trace, prices that
/// are not valid, sizes that overflow. Deterministic for any number of threads.
[[nodiscard]] Result<VerifiedBound> verify(const TraceReader& trace, const Certificate& certificate,
                                           const RunContext& context);

}  // namespace kvplace
