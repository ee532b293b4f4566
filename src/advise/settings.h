/// The answer as flags of the engines that people run.
#pragma once

#include <map>
#include <string>

#include "kvplace/advise/advise.h"

namespace kvplace {

/// Flags for the batch asked for, by server: of SGLang and of vLLM, with HiSparse if the engine has it, or if there is
/// no engine and not all KV fits near; of an engine that keeps experts on the host its own. Empty where it does not
/// fit.
[[nodiscard]] std::map<std::string, std::string> settings_of(const Advice& advice);

}  // namespace kvplace
