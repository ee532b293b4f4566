/// The answer of `kvplace advise` on one screen.
#pragma once

#include <string>

#include "kvplace/advise/advise.h"

namespace kvplace::cli {

[[nodiscard]] std::string advise_text(const Advice& advice);

}  // namespace kvplace::cli
