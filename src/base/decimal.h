/// Decimal text and doubles.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kvplace {

/// The shortest decimal without an exponent that reads back as the same double.
[[nodiscard]] std::string plain_decimal(double value);

/// The shortest decimal of `value`, not negative, with its point moved by `power` places to the right.
[[nodiscard]] std::string moved_decimal(double value, int power);

/// "12,345" without its commas, "123" as it is; none if a comma does not group thousands.
[[nodiscard]] std::optional<std::string> without_grouping(std::string_view digits);

}  // namespace kvplace
