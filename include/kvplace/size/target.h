/// What a configuration must reach, as a user writes it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kvplace/base/result.h"

namespace kvplace {

struct SizeTarget {
  enum class Kind : std::uint8_t {
    kTokensPerSecond,  ///< of the whole batch, at least
    kShareOfAllNear,   ///< of the tokens per second with all KV near, at least
    kCost,             ///< of near memory and link, at most: the fastest that can be had for it
  };
  Kind kind = Kind::kShareOfAllNear;
  double value = 0.9;  ///< tokens/s; share (1 = 100 %); cost in the unit of the prices
};

/// "120tokens/s", "90%" (also "90% of all-near"), "cost=500"; blanks between are allowed. Values are above 0.
[[nodiscard]] Result<SizeTarget> parse_target(std::string_view text);
[[nodiscard]] std::string to_text(const SizeTarget& target);

}  // namespace kvplace
