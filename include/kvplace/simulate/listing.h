/// What there is, as JSON: `kvplace list`.
#pragma once

#include <string>
#include <string_view>

#include "kvplace/base/result.h"

namespace kvplace {

/// A JSON array of the policies, hardware, models, formats or generators, with units, defaults, ranges and sources;
/// keys as in docs/json.md. Errors name the nearest known word.
[[nodiscard]] Result<std::string> listing_json(std::string_view what);

}  // namespace kvplace
