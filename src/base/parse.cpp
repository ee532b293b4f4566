#include "kvplace/base/parse.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace kvplace {
namespace {

struct UnitName {
  std::string_view name;
  double factor;
};

constexpr std::array kByteUnits{
    UnitName{"B", 1},
    UnitName{"kB", 1e3},
    UnitName{"MB", 1e6},
    UnitName{"GB", 1e9},
    UnitName{"TB", 1e12},
    UnitName{"KiB", 1024.0},
    UnitName{"MiB", 1024.0 * 1024},
    UnitName{"GiB", 1024.0 * 1024 * 1024},
    UnitName{"TiB", 1024.0 * 1024 * 1024 * 1024},
};
constexpr std::array kBandwidthUnits{
    UnitName{"B/s", 1},
    UnitName{"kB/s", 1e3},
    UnitName{"MB/s", 1e6},
    UnitName{"GB/s", 1e9},
    UnitName{"TB/s", 1e12},
    UnitName{"MiB/s", 1024.0 * 1024},
    UnitName{"GiB/s", 1024.0 * 1024 * 1024},
};
constexpr std::array kTimeUnits{
    UnitName{"s", 1},
    UnitName{"ms", 1e-3},
    UnitName{"us", 1e-6},
    UnitName{"ns", 1e-9},
};
constexpr std::array kFlopsRateUnits{
    UnitName{"FLOP/s", 1},     UnitName{"MFLOP/s", 1e6},  UnitName{"GFLOP/s", 1e9},
    UnitName{"TFLOP/s", 1e12}, UnitName{"PFLOP/s", 1e15},
};
constexpr std::array kFlopsUnits{
    UnitName{"FLOP", 1},     UnitName{"MFLOP", 1e6},  UnitName{"GFLOP", 1e9},
    UnitName{"TFLOP", 1e12}, UnitName{"PFLOP", 1e15},
};

struct Measure {
  double number;
  std::string_view digits;  ///< the text of the number
  std::string_view unit;
};

/// Splits "450GB/s" (one space is allowed before the unit) into its number and its unit.
Result<Measure> split_measure(std::string_view text, std::string_view example) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const bool begins_like_a_number = !text.empty() && text.front() >= '0' && text.front() <= '9';
  if (!begins_like_a_number || error != std::errc() || !std::isfinite(number)) {
    return bad_input(in_quotes(text) + " is not a number with a unit, like " + std::string(example));
  }
  const auto length = static_cast<std::size_t>(end - text.data());
  std::string_view unit = text.substr(length);
  if (unit.size() > 1 && unit.front() == ' ') {
    unit.remove_prefix(1);
  }
  return Measure{number, text.substr(0, length), unit};
}

template <std::size_t n>
std::string unit_list(const std::array<UnitName, n>& units) {
  std::string list;
  for (const UnitName& unit : units) {
    list += (list.empty() ? "" : ", ") + std::string(unit.name);
  }
  return list;
}

template <std::size_t n>
Result<double> parse_measure(std::string_view text, const std::array<UnitName, n>& units, std::string_view example) {
  KVPLACE_ASSIGN(measure, split_measure(text, example));
  if (measure.unit.empty()) {
    return bad_input(in_quotes(text) + " needs a unit: write it like " + std::string(example) + " (" +
                     unit_list(units) + ")");
  }
  for (const UnitName& unit : units) {
    if (unit.name == measure.unit) {
      return measure.number * unit.factor;
    }
  }
  return bad_input(in_quotes(text) + " has an unknown unit " + in_quotes(measure.unit) + ": known are " +
                   unit_list(units));
}

/// The shortest decimal without an exponent that reads back as the same double.
std::string format_fixed(double value) {
  std::array<char, 400> buffer{};  // the longest double has 309 digits before the point or 324 behind it
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  return std::string(buffer.data(), end);
}

/// The value in the largest decimal unit that is not larger and in which it reads back the same.
template <std::size_t n>
std::string format_measure(double value, const std::array<UnitName, n>& units) {
  const UnitName* best = &units[0];
  for (const UnitName& unit : units) {
    const bool decimal_unit = unit.name.find('i') == std::string_view::npos;
    const bool exact = value / unit.factor * unit.factor == value;
    if (decimal_unit && exact && unit.factor <= value && unit.factor > best->factor) {
      best = &unit;
    }
  }
  return format_fixed(value / best->factor) + std::string(best->name);
}

}  // namespace

Result<Bytes> parse_bytes(std::string_view text) {
  constexpr std::string_view kExample = "16GiB";
  KVPLACE_ASSIGN(measure, split_measure(text, kExample));
  double factor = measure.unit.empty() ? 1 : 0;
  for (const UnitName& unit : kByteUnits) {
    if (unit.name == measure.unit) {
      factor = unit.factor;
    }
  }
  if (factor == 0) {
    return bad_input(in_quotes(text) + " has an unknown unit " + in_quotes(measure.unit) + ": known are " +
                     unit_list(kByteUnits));
  }
  const double size = measure.number * factor;
  const auto whole_factor = static_cast<std::uint64_t>(factor);
  const Result<std::uint64_t> whole = parse_count(measure.digits);
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  if (whole ? *whole > kMost / whole_factor : !(size < 0x1p63)) {
    return bad_input(in_quotes(text) + " is larger than any memory: the limit is 2^63 bytes");
  }
  if (whole) {  // exactly, where a double would round
    return Bytes(static_cast<std::int64_t>(*whole * whole_factor));
  }
  if (size != std::floor(size)) {
    return bad_input(in_quotes(text) + " is not a whole number of bytes");
  }
  return Bytes(static_cast<std::int64_t>(size));
}

Result<BytesPerSecond> parse_bandwidth(std::string_view text) {
  return parse_measure(text, kBandwidthUnits, "450GB/s").map([](double v) { return BytesPerSecond(v); });
}

Result<Seconds> parse_seconds(std::string_view text) {
  return parse_measure(text, kTimeUnits, "3us").map([](double v) { return Seconds(v); });
}

Result<FlopsPerSecond> parse_flops_rate(std::string_view text) {
  return parse_measure(text, kFlopsRateUnits, "990TFLOP/s").map([](double v) { return FlopsPerSecond(v); });
}

Result<Flops> parse_flops(std::string_view text) {
  return parse_measure(text, kFlopsUnits, "2.5GFLOP").map([](double v) { return Flops(v); });
}

Result<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) {
    return bad_input(in_quotes(text) + " is too large: the limit is 2^64 - 1");
  }
  if (error != std::errc() || end != text.data() + text.size()) {
    return bad_input(in_quotes(text) + " is not a whole number of 0 or more");
  }
  return value;
}

Result<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return bad_input(in_quotes(text) + " is not a number");
  }
  return value;
}

Result<bool> parse_bool(std::string_view text) {
  if (text == "true" || text == "false") {
    return text == "true";
  }
  return bad_input(in_quotes(text) + " is neither true nor false");
}

std::string format_number(double value) {
  std::array<char, 64> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return std::string(buffer.data(), end);
}

std::string format_bytes(Bytes size) {
  const UnitName* best = &kByteUnits[0];
  for (const UnitName& unit : kByteUnits) {
    const auto factor = static_cast<std::int64_t>(unit.factor);
    if (size.value() != 0 && size.value() % factor == 0 && unit.factor > best->factor) {
      best = &unit;
    }
  }
  return std::to_string(size.value() / static_cast<std::int64_t>(best->factor)) + std::string(best->name);
}

std::string format_bandwidth(BytesPerSecond rate) { return format_measure(rate.value(), kBandwidthUnits); }
std::string format_flops_rate(FlopsPerSecond rate) { return format_measure(rate.value(), kFlopsRateUnits); }
std::string format_flops(Flops work) { return format_measure(work.value(), kFlopsUnits); }

std::string format_seconds(Seconds time) {
  // Times are short: one unit keeps the text exact.
  return format_fixed(time.value()) + "s";
}

namespace {

/// Letters changed, added, left out or swapped with their neighbour between two names.
std::size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
  }
  return row.back();
}

/// ASCII letters, as names are made of.
std::string in_lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return lower;
}

}  // namespace

std::string nearest_name(std::string_view name, std::span<const std::string> candidates) {
  const std::string wanted = in_lower_case(name);
  // What was begun rightly is meant; of several, the shortest.
  const std::string* longer = nullptr;
  for (const std::string& candidate : candidates) {
    if (!wanted.empty() && in_lower_case(candidate).starts_with(wanted) &&
        (longer == nullptr || candidate.size() < longer->size())) {
      longer = &candidate;
    }
  }
  if (longer != nullptr) {
    return *longer;
  }
  std::string best;
  std::size_t best_distance = std::numeric_limits<std::size_t>::max();
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edits_between(wanted, in_lower_case(candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7e) {
      out += "\\x";
      out += kHexDigits[byte >> 4];
      out += kHexDigits[byte & 15];
    } else {
      out += c;
    }
  }
  return out + (text.size() > kLongest ? "...\"" : "\"");
}

}  // namespace kvplace
