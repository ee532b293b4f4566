/// Every sentence in which `kvplace advise` concludes something, each under a condition that is computed.
#pragma once

#include <string>

#include "kvplace/advise/advise.h"

namespace kvplace::cli {

/// How many requests fit, all near and with far memory.
[[nodiscard]] std::string fit_sentence(const Advice& advice);
/// What was read in place of the user's own requests.
[[nodiscard]] std::string workload_sentence(const Advice& advice);
/// What follows: from which batch tiering pays and where it loses, the target, settings, gains, sensitivity, choices.
[[nodiscard]] std::string conclusions(const Advice& advice);

}  // namespace kvplace::cli
