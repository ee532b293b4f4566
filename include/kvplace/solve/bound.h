/// The search for a lower bound on the total time of every schedule of an instance (docs/bound.md).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kvplace/base/run_context.h"
#include "kvplace/bound/certificate.h"
#include "kvplace/bound/verify.h"

namespace kvplace {

struct BoundOptions {
  Claim claim = Claim::kStep;  ///< of solve_bound()
  Seconds time_limit{120};     ///< after it the best found so far is taken
  /// Instances of at most so many (decode step, layer, block) triples also take the prices of their exact linear
  /// relaxation: the searches need large numbers. 0: never.
  std::uint64_t most_exact_cells = 20'000;
  /// Also ascent from the windows' prices (docs/bound.md, "Entries"): some per cent more over fast links, seconds
  /// longer.
  bool ascend = true;
  /// To start from: each serves the search for its claim, and one of `any` also that for `step`.
  std::vector<Certificate> known;
  /// Told each certificate that proves more than all before it and more than what the search began with, while the
  /// search goes on: a checkpoint. May be empty; its error ends the search.
  std::function<Status(Certificate)> on_better;
};

enum class SearchStatus : std::uint8_t { kConverged, kTimeLimit, kInterrupted };
/// "converged", "time_limit", "interrupted".
[[nodiscard]] std::string to_text(SearchStatus status);

struct ProvenBound {
  Certificate certificate;
  VerifiedBound verified;         ///< what the certificate proves, recomputed from it
  std::uint64_t evaluations = 0;  ///< prices that were evaluated
  SearchStatus status = SearchStatus::kConverged;
  Seconds seconds;                       ///< of the search, with its verification
  double capacity_price_s_per_byte = 0;  ///< what one more byte of near capacity, for one request, lowers the bound by
};

/// Always returns a certificate of options.claim, if only that of the perfect split. Errors: bad input if the known
/// certificate speaks about another instance or trace, rejected if it is not valid. Memory: inclusive mode O(steps *
/// layers + classes of gaps), and with the ascent 40 bytes per read of up to 4 million and a factor log(steps * layers)
/// + threads; exclusive mode O(steps * layers + blocks). The certificate does not depend on the number of threads
/// unless the time limit was reached.
[[nodiscard]] Result<ProvenBound> solve_bound(const TraceReader& trace, const Instance& instance,
                                              const BoundOptions& options, const RunContext& context);

/// A bound for each claim; `step` is no less.
struct ProvenBounds {
  ProvenBound any;
  ProvenBound step;
};

/// Both in one run, with what they share made once; that for `any` has a third of the time limit at most.
[[nodiscard]] Result<ProvenBounds> solve_bounds(const TraceReader& trace, const Instance& instance,
                                                const BoundOptions& options, const RunContext& context);

}  // namespace kvplace
