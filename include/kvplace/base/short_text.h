/// Numbers for people: short, rounded, with a space before the unit. Each can be typed back: it is read as what it
/// shows, and what was read is shown as the same text.
#pragma once

#include <cstdint>
#include <string>

namespace kvplace {

/// Which way a number is rounded to the digits that are shown.
enum class Rounding : std::uint8_t { kNearest, kUp, kDown };

/// 1234567 -> "1,234,567".
[[nodiscard]] std::string with_commas(std::uint64_t number);

/// Three digits in the unit that keeps one to three before the point: "14.0 us". REQUIRES: seconds >= 0.
[[nodiscard]] std::string short_time(double seconds, Rounding rounding = Rounding::kNearest);

/// Three digits in powers of 1024, whole ones from 100 on: "17.6 MiB". REQUIRES: bytes >= 0.
[[nodiscard]] std::string short_bytes(double bytes);

/// Six digits in MiB or GiB; exact below 1 MiB. Rounded up it is read as no less than `bytes`, down as no more.
[[nodiscard]] std::string long_bytes(std::int64_t bytes, Rounding rounding);

/// So many digits, or all before the point, without zeros at the end: "64.07". REQUIRES: value >= 0.
[[nodiscard]] std::string few_digits(double value, int digits, Rounding rounding = Rounding::kNearest);

/// 0.8 -> "80.0 %".
[[nodiscard]] std::string percent(double share, int digits = 1);

}  // namespace kvplace
