/// Numbers for people.
#pragma once

#include <cstdint>
#include <string>

namespace kvplace::cli {

/// 1234567 -> "1,234,567".
[[nodiscard]] std::string with_commas(std::uint64_t number);
/// Seconds in the unit that keeps one to three digits before the point: "14.0 us".
[[nodiscard]] std::string short_time(double seconds);
/// Bytes in powers of 1024 with three digits: "17.6 MiB".
[[nodiscard]] std::string short_bytes(double bytes);
[[nodiscard]] std::string percent(double share, int digits = 1);

}  // namespace kvplace::cli
