/// The answer as flags of the engines that people run.
#pragma once

#include <map>
#include <string>

#include "advise/room.h"

namespace kvplace {

/// Flags by engine, for the batch asked for: those of the engine named, else of all that serve the model so.
[[nodiscard]] std::map<std::string, std::string> settings_of(const Advice& advice, const Room& room);

}  // namespace kvplace
