/// What has come of a recording: a small file beside its traces, rewritten after each of them.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "kvplace/base/result.h"

namespace kvplace {

struct RecordState {
  std::string asked;             ///< what is recorded, as a text that is equal if it is the same
  std::set<std::uint32_t> done;  ///< prompts whose traces are written
};

/// An empty state if there is no such file. Bad input if it is none, or of something else than `asked`.
[[nodiscard]] Result<RecordState> read_state(const std::string& path, const std::string& asked);
[[nodiscard]] Status write_state(const std::string& path, const RecordState& state);

}  // namespace kvplace
