#include "base/decimal.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace kvplace {

std::string plain_decimal(double value) {
  std::array<char, 400> buffer{};  // the longest double has 309 digits before the point or 324 behind it
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  return std::string(buffer.data(), end);
}

std::string moved_decimal(double value, int power) {
  std::array<char, 64> buffer{};
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const std::size_t e = text.find('e');
  int exponent = 0;
  const std::size_t sign = text[e + 1] == '+' ? 1 : 0;
  std::from_chars(text.data() + e + 1 + sign, end, exponent);
  std::string digits(text.substr(0, e));
  std::erase(digits, '.');
  // d.ddd x 10^exponent: the point stands behind so many digits.
  const int point = exponent + power + 1;
  const int count = static_cast<int>(digits.size());
  if (point <= 0) {
    return digits == "0" ? digits : "0." + std::string(static_cast<std::size_t>(-point), '0') + digits;
  }
  if (point >= count) {
    return digits == "0" ? digits : digits + std::string(static_cast<std::size_t>(point - count), '0');
  }
  return digits.insert(static_cast<std::size_t>(point), 1, '.');
}

std::optional<std::string> without_grouping(std::string_view digits) {
  const std::size_t first = digits.find(',');
  if (first == std::string_view::npos) {
    return std::string(digits);
  }
  // Groups are of three digits, the first of one to three.
  bool grouped = first >= 1 && first <= 3 && (digits.size() - first) % 4 == 0;
  std::string out;
  for (std::size_t i = 0; i < digits.size() && grouped; ++i) {
    const bool comma = i >= first && (i - first) % 4 == 0;
    grouped = comma == (digits[i] == ',');
    if (!comma) {
      out += digits[i];
    }
  }
  return grouped ? std::optional<std::string>(out) : std::nullopt;
}

}  // namespace kvplace
