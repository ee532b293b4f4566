/// Base64 (RFC 4648, section 4), as engines put arrays into JSON.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace kvplace {

/// Nothing if `text` is not base64, padded to a multiple of four characters.
[[nodiscard]] std::optional<std::vector<std::byte>> base64_decode(std::string_view text);

}  // namespace kvplace
