/// Quantities whose text parse.h does not have: sizes that may lack a unit, percentages, amounts of anything.
#pragma once

#include <string>
#include <string_view>

#include "kvplace/base/result.h"
#include "kvplace/base/units.h"

namespace kvplace {

/// Whether the name of a field or flag says that its value is bytes, as "block_bytes" does.
[[nodiscard]] bool counts_bytes(std::string_view name);

/// A size as the value of `name`: what parse_bytes reads and, if counts_bytes(name), also a bare number of bytes.
[[nodiscard]] Result<Bytes> parse_bytes_of(std::string_view name, std::string_view text);

/// "90%" or "90 %" as a share, 0.9; and the text that is read as exactly `share`.
[[nodiscard]] Result<double> parse_percent(std::string_view text);
[[nodiscard]] std::string format_percent(double share);

/// A decimal number of 0 or more without exponent; commas may group its thousands: "227,215.5".
[[nodiscard]] Result<double> parse_amount(std::string_view text);
[[nodiscard]] std::string format_amount(double value);

}  // namespace kvplace
