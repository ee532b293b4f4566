/// Computing the points of a study. What comes of a point is text, so that it can be made in another process than the
/// one that keeps it (docs/verbs/sweep.md, "Beyond one machine").
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kvplace/base/run_context.h"
#include "kvplace/sweep/study.h"

namespace kvplace {

/// Rows of the database, as a JSON object; errors of the point are among them.
struct PointOutcome {
  std::uint32_t point = 0;
  std::string json;
};

/// Divides points into batches that are computed together: those of one trace, of which a policy's decisions are made
/// once for all links, up to kRunsOfBatch and some: what a killed run computes anew. `pending`: ascending.
[[nodiscard]] std::vector<std::vector<std::uint32_t>> sweep_batches(const Study& study,
                                                                    std::span<const std::uint32_t> pending);

/// Where traces lie that a study names by other paths: on another machine than that which reads the study.
using TracePlaces = std::map<std::string, std::string>;

/// The traces that points name, each once, in the order of the points.
[[nodiscard]] std::vector<std::string> traces_of(const Study& study, std::span<const std::uint32_t> points);

/// Called with each outcome, in the order of the batch; its error ends the work.
using TakeOutcome = std::function<Status(const PointOutcome&)>;

/// Computes a batch: one pass over the trace for all its policies that run in the common pass. The same outcomes in any
/// batch and for any number of threads, but for "seconds" and for what a time limit ended. Errors: interrupted, and
/// those of `take`.
[[nodiscard]] Status compute_batch(const Study& study, std::span<const std::uint32_t> batch, const RunContext& context,
                                   const TakeOutcome& take, const TracePlaces& places = {});

}  // namespace kvplace
