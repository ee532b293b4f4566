#include "format.h"

#include <fmt/core.h>

#include <array>

namespace kvplace::cli {

std::string with_commas(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) {
    digits.insert(at - 3, 1, ',');
  }
  return digits;
}

namespace {

std::string three_digits(double value) {
  return value >= 100 ? fmt::format("{:.0f}", value)
                      : (value >= 10 ? fmt::format("{:.1f}", value) : fmt::format("{:.2f}", value));
}

}  // namespace

std::string short_time(double seconds) {
  constexpr std::array kUnits{"s", "ms", "us", "ns"};
  std::size_t unit = 0;
  while (seconds > 0 && seconds < 1 && unit + 1 < kUnits.size()) {
    seconds *= 1000;
    ++unit;
  }
  return three_digits(seconds) + " " + kUnits[unit];
}

std::string short_bytes(double bytes) {
  constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return (unit == 0 ? fmt::format("{:.0f}", bytes) : three_digits(bytes)) + " " + kUnits[unit];
}

std::string percent(double share, int digits) { return fmt::format("{:.{}f} %", share * 100, digits); }

}  // namespace kvplace::cli
