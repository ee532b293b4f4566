#include "kvplace/base/short_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

std::string with_decimals(double value, int decimals) {
  std::array<char, 400> buffer{};  // the longest double has 309 digits before the point
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, decimals);
  return std::string(buffer.data(), end);
}

/// As many decimals as make three digits, counted after rounding: 9.999 is 10.0.
std::string three_digits(double value) { return with_decimals(value, value >= 99.95 ? 0 : (value >= 9.995 ? 1 : 2)); }

/// Decimals that show so many digits of `value`.
int decimals_for(double value, int digits) {
  constexpr int kMost = 300;
  const double before_point = value > 0 ? std::floor(std::log10(value)) + 1 : 1;
  return std::clamp(digits - static_cast<int>(before_point), 0, kMost);
}

std::string without_end_zeros(std::string decimal) {
  if (decimal.find('.') != std::string::npos) {
    decimal.erase(decimal.find_last_not_of('0') + 1);
    if (decimal.ends_with('.')) {
      decimal.pop_back();
    }
  }
  return decimal;
}

/// The next number of so many decimals to one side.
double toward(double value, int decimals, Rounding rounding) {
  // A fraction that was printed so and read again is a little off it, to either side.
  constexpr double kSlack = 1e-12;
  const double slack = decimals > 0 ? kSlack : 0;
  const double scale = std::pow(10.0, decimals);
  return (rounding == Rounding::kUp ? std::ceil(value * (1 - slack) * scale)
                                    : std::floor(value * (1 + slack) * scale)) /
         scale;
}

std::string rounded(double value, int decimals, Rounding rounding) {
  const double shown = rounding == Rounding::kNearest ? value : toward(value, decimals, rounding);
  return without_end_zeros(with_decimals(shown, decimals));
}

}  // namespace

std::string with_commas(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) {
    digits.insert(at - 3, 1, ',');
  }
  return digits;
}

std::string short_time(double seconds, Rounding rounding) {
  constexpr std::array kUnits{" s", " ms", " us", " ns"};
  constexpr double kShownAsOne = 0.9995;  // 1.00 of a unit rather than 1000 of the next
  std::size_t unit = 0;
  double value = seconds;
  while (value > 0 && value < kShownAsOne && unit + 1 < kUnits.size()) {
    value *= 1000;
    ++unit;
  }
  if (rounding != Rounding::kNearest) {
    const int decimals = value >= 100 ? 0 : (value >= 10 ? 1 : 2);
    value = toward(value, decimals, rounding);
  }
  const std::string text = three_digits(value);
  if (unit > 0 && text == "1000") {
    return std::string("1.00") + kUnits[unit - 1];
  }
  return text == "0.00" ? std::string("0.00 s") : text + kUnits[unit];
}

std::string short_bytes(double bytes) {
  constexpr std::array kUnits{" B", " KiB", " MiB", " GiB", " TiB", " PiB"};
  constexpr double kShownAsNext = 1023.5;  // what rounds to 1024
  std::size_t unit = 0;
  while (bytes >= kShownAsNext && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return (unit == 0 ? with_decimals(bytes, 0) : three_digits(bytes)) + kUnits[unit];
}

std::string few_digits(double value, int digits, Rounding rounding) {
  return rounded(value, decimals_for(value, digits), rounding);
}

std::string long_bytes(std::int64_t bytes, Rounding rounding) {
  constexpr int kDigits = 6;
  constexpr std::int64_t kMiB = 1 << 20;
  constexpr std::int64_t kGiB = 1 << 30;
  if (bytes < kMiB) {
    std::string exact = format_bytes(Bytes(bytes));
    return exact.insert(exact.find_first_not_of("0123456789."), 1, ' ');
  }
  const bool gib = bytes >= kGiB;
  const auto unit = static_cast<double>(gib ? kGiB : kMiB);
  // Reading rounds down to whole bytes, so the largest text that is read as `bytes` shows up to one byte more.
  const double shown = static_cast<double>(bytes) + (rounding == Rounding::kDown ? 1 - 0x1p-20 : 0);
  const std::string text = rounded(shown / unit, decimals_for(shown / unit, kDigits), rounding);
  return !gib && text == "1024" ? "1 GiB" : text + (gib ? " GiB" : " MiB");
}

std::string percent(double share, int digits) { return with_decimals(share * 100, digits) + " %"; }

}  // namespace kvplace
