/// What there is, as JSON: `kvplace list`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"

namespace kvplace {

/// What can be listed: policies, hardware, models, formats, generators, settings of an instance, fields of a result.
[[nodiscard]] std::vector<std::string> listing_names();

/// A JSON array of one of these, with units, defaults, ranges and sources; keys as in docs/json.md. Errors name the
/// nearest known word.
[[nodiscard]] Result<std::string> listing_json(std::string_view what);

}  // namespace kvplace
