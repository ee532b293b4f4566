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
  const double scale = std::pow(10.0, decimals);
  return (rounding == Rounding::kUp ? std::ceil(value * scale) : std::floor(value * scale)) / scale;
}

/// A fraction that was printed so and read again is a little off it, to either side: this is not told from it.
double unless_read(double value, int decimals, Rounding rounding) {
  constexpr double kSlack = 1e-12;
  if (decimals == 0 || rounding == Rounding::kNearest) {
    return value;
  }
  return value * (rounding == Rounding::kUp ? 1 - kSlack : 1 + kSlack);
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
    value = toward(unless_read(value, decimals, rounding), decimals, rounding);
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
  const int decimals = decimals_for(value, digits);
  return rounded(unless_read(value, decimals, rounding), decimals, rounding);
}

std::string long_bytes(std::int64_t bytes, Rounding rounding) {
  constexpr int kDigits = 6;
  constexpr std::int64_t kMiB = 1 << 20;
  constexpr std::int64_t kGiB = 1 << 30;
  if (bytes < kMiB) {
    std::string exact = format_bytes(Bytes(bytes));
    return exact.insert(exact.find_first_not_of("0123456789."), 1, ' ');
  }
  const std::int64_t unit = bytes >= kGiB ? kGiB : kMiB;
  const double size = static_cast<double>(bytes) / static_cast<double>(unit);
  const int decimals = decimals_for(size, kDigits);
  std::string text;
  if (rounding == Rounding::kNearest) {
    text = without_end_zeros(with_decimals(size, decimals));
  } else {
    // Whole numbers, as reading is exact: it rounds down to whole bytes, so down to a text that shows up to one byte
    // more.
    const auto scale = static_cast<std::int64_t>(std::llround(std::pow(10.0, decimals)));
    const std::int64_t rest = bytes % unit;
    const std::int64_t parts =
        rounding == Rounding::kUp ? (rest * scale + unit - 1) / unit : ((rest + 1) * scale - 1) / unit;
    std::string digits = std::to_string(bytes / unit * scale + parts);
    digits.insert(0, std::max<std::size_t>(digits.size(), static_cast<std::size_t>(decimals) + 1) - digits.size(), '0');
    text = decimals == 0 ? digits
                         : without_end_zeros(digits.insert(digits.size() - static_cast<std::size_t>(decimals), 1, '.'));
  }
  return unit == kMiB && text == "1024" ? "1 GiB" : text + (unit == kGiB ? " GiB" : " MiB");
}

std::string percent(double share, int digits) { return with_decimals(share * 100, digits) + " %"; }

}  // namespace kvplace
