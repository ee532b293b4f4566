/// What is told of a served batch: its requests, and what a comparison says of each one's tokens.
#pragma once

#include <string>

#include "kvplace/instance/instance.h"
#include "kvplace/simulate/compare.h"
#include "kvplace/trace/trace.h"

namespace kvplace::cli {

/// "64 requests, 8 at once at most and 6.3 in the mean, prompts of 512 to 8,192 tokens".
[[nodiscard]] std::string requests_text(const ServedRequests& served);

/// Tokens per second, and the times within which half and 99 % of all tokens are decoded; empty if the requests of the
/// trace are alike.
[[nodiscard]] std::string served_table(const Comparison& comparison, const Instance& instance);

}  // namespace kvplace::cli
