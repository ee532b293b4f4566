/// Prompts of a file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kvplace/base/result.h"

namespace kvplace {

/// A text or the ids of its tokens.
struct Prompt {
  std::string text;
  std::vector<std::uint64_t> tokens;        ///< in the place of a text if there are any
  std::optional<std::uint32_t> max_tokens;  ///< of this one
};

/// A file that begins with '{', '"' or '[' holds JSON lines: a text, a list of token ids, or an object with one of them
/// as "prompt" and perhaps "max_tokens". Any other file is one prompt, as it is. Errors name file and line.
[[nodiscard]] Result<std::vector<Prompt>> read_prompts(const std::string& path);

}  // namespace kvplace
