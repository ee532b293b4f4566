/// Which request of a file becomes a trace: one that holds several is refused unless one is named.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "kvplace/base/result.h"

namespace kvplace {

/// The index of the request of that name, or of the only one if `wanted` is empty.
[[nodiscard]] Result<std::size_t> choose_request(const std::string& path, std::span<const std::string> names,
                                                 const std::string& wanted);

/// The error for a file that holds more requests than one.
[[nodiscard]] tl::unexpected<Error> several_requests(const std::string& place, std::span<const std::string> names);

}  // namespace kvplace
