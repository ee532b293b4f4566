// Text with a unit to a quantity. Decimals are read as they stand: a size rounds down to whole bytes from its exact
// value, a rate or time is the double next to it.
#include "kvplace/base/measure.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <span>

#include "base/decimal.h"
#include "base/unit_names.h"
#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// "1,234.5 GiB" taken apart; digits have lost their commas.
struct Measure {
  std::string whole;      ///< "1234"
  std::string_view part;  ///< "5", what stands behind the point
  std::string_view unit;  ///< "GiB"; empty: none

  [[nodiscard]] std::string number() const { return part.empty() ? whole : whole + "." + std::string(part); }
};

std::string_view digits_of(std::string_view text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
  return text.substr(0, static_cast<std::size_t>(end - text.begin()));
}

/// What is wrong with a number that has an exponent; nothing if `rest`, what follows its digits, is none.
std::optional<Error> exponent(std::string_view text, const Measure& measure, std::string_view rest) {
  if (!rest.starts_with('e') && !rest.starts_with('E')) {
    return std::nullopt;
  }
  const std::string whole = measure.number() + std::string(rest);
  double value = 0;
  const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), value);
  const std::string_view behind(end, static_cast<std::size_t>(whole.data() + whole.size() - end));
  if (error == std::errc() && behind.size() == rest.size()) {
    return std::nullopt;  // no digits follow
  }
  constexpr double kMostShown = 1e18;
  const bool shown = error == std::errc() && value < kMostShown && value > 1 / kMostShown;
  return Error{ErrorKind::kBadInput, in_quotes(text) + " has an exponent: write its digits out" +
                                         (shown ? ", " + plain_decimal(value) + std::string(behind) : std::string())};
}

/// Splits "1,234.5 GiB", with one space or none before the unit.
Result<Measure> split_measure(std::string_view text, std::string_view example) {
  const auto wrong = [&](const std::string& what) {
    return bad_input(in_quotes(text) + what + ": write it like " + std::string(example));
  };
  if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) > 0x7e; })) {
    return wrong(" has a character outside ASCII");
  }
  if (text.size() > 1 && text.front() == '-' && is_digit(text[1])) {
    return wrong(" is below 0");
  }
  if (text.empty() || !is_digit(text.front())) {
    return bad_input(in_quotes(text) + " is not a number with a unit, like " + std::string(example));
  }
  const auto end = std::find_if_not(text.begin(), text.end(), [](char c) { return is_digit(c) || c == ','; });
  Measure measure;
  measure.whole = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  std::string_view rest = text.substr(measure.whole.size());
  const std::optional<std::string> ungrouped = without_grouping(measure.whole);
  if (!ungrouped) {
    return bad_input(in_quotes(text) +
                     " has a comma that groups no thousands, as in 1,000: before a fraction stands a point");
  }
  measure.whole = *ungrouped;
  if (rest.starts_with('.')) {
    measure.part = digits_of(rest.substr(1));
    if (!measure.part.empty()) {
      rest.remove_prefix(1 + measure.part.size());
    }
  }
  if (const std::optional<Error> wrong_form = exponent(text, measure, rest)) {
    return tl::unexpected(*wrong_form);
  }
  if (rest.size() > 1 && rest.front() == ' ') {
    rest.remove_prefix(1);
  }
  measure.unit = rest;
  return measure;
}

std::string unit_list(std::span<const UnitName> units) {
  std::string list;
  for (const UnitName& unit : units) {
    list += (list.empty() ? "" : ", ") + std::string(unit.name);
  }
  return list;
}

/// A unit without what people write in several ways: case, spaces, "/s" or "ps".
std::string simplified(std::string_view unit) {
  std::string out;
  for (const char c : unit) {
    if (c != ' ' && c != '/') {
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  if (out.ends_with("ps") && out.size() > 3) {
    out.erase(out.size() - 2, 1);
  }
  return out == "bytes" || out == "byte" ? "b" : out;
}

/// "450Gb/s" and the like: an upper case prefix before a lower case b is how bits are written.
bool is_in_bits(std::string_view unit) {
  const std::size_t b = unit.find('b');
  return b != std::string_view::npos && std::any_of(unit.begin(), unit.begin() + static_cast<std::ptrdiff_t>(b),
                                                    [](char c) { return c >= 'A' && c <= 'Z'; });
}

/// What may have been meant by a unit that there is not: ": write 16GB"; empty if nothing comes near.
std::string meant(const Measure& measure, std::span<const UnitName> units) {
  const std::string wanted = simplified(measure.unit);
  std::string begun;
  for (const UnitName& unit : units) {
    const std::string name = simplified(unit.name);
    if (name == wanted) {
      const std::string number = measure.number();
      double value = 0;
      std::from_chars(number.data(), number.data() + number.size(), value);
      return ": write " + number + std::string(unit.name) +
             (is_in_bits(measure.unit) ? ", or if bits are meant " + plain_decimal(value / 8) + std::string(unit.name)
                                       : "");
    }
    if (!wanted.empty() && name.starts_with(wanted)) {
      begun += (begun.empty() ? ": write " : " or ") + measure.number() + std::string(unit.name);
    }
  }
  return begun;
}

Error unknown_unit(std::string_view text, const Measure& measure, std::span<const UnitName> units) {
  return {ErrorKind::kBadInput, in_quotes(text) + " has an unknown unit " + in_quotes(measure.unit) +
                                    meant(measure, units) + " (known are " + unit_list(units) + ")"};
}

const UnitName* find_unit(std::span<const UnitName> units, std::string_view name) {
  const auto unit = std::find_if(units.begin(), units.end(), [&](const UnitName& u) { return u.name == name; });
  return unit == units.end() ? nullptr : &*unit;
}

/// The double next to digits x 10^power; none beyond the range of a double.
std::optional<double> scaled(const std::string& digits, int power) {
  const std::string text = digits + "e" + std::to_string(power);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && std::isfinite(value) ? std::optional<double>(value) : std::nullopt;
}

Result<double> parse_measure(std::string_view text, std::span<const UnitName> units, std::string_view example) {
  KVPLACE_ASSIGN(measure, split_measure(text, example));
  if (measure.unit.empty()) {
    return bad_input(in_quotes(text) + " needs a unit: write it like " + std::string(example) + " (" +
                     unit_list(units) + ")");
  }
  const UnitName* unit = find_unit(units, measure.unit);
  if (unit == nullptr) {
    return tl::unexpected(unknown_unit(text, measure, units));
  }
  const std::optional<double> value = scaled(measure.number(), unit->power_of_10);
  const double in_base_units = value ? std::ldexp(*value, unit->power_of_2) : std::numeric_limits<double>::infinity();
  if (!std::isfinite(in_base_units)) {
    return bad_input(in_quotes(text) + " is beyond any range");
  }
  return in_base_units;
}

/// The bytes of `measure`, rounded down.
Result<Bytes> whole_bytes(std::string_view text, const Measure& measure, const UnitName& unit) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  const auto factor = static_cast<std::uint64_t>(bytes_in(unit));
  const Result<std::uint64_t> whole = parse_count(measure.whole);
  // From the last digit to the first, so that no digit is lost: floor((n + y) / 10) = floor((n + floor(y)) / 10).
  std::uint64_t part = 0;
  for (auto digit = measure.part.rbegin(); digit != measure.part.rend(); ++digit) {
    part = (static_cast<std::uint64_t>(*digit - '0') * factor + part) / 10;
  }
  if (!whole || *whole > kMost / factor || *whole * factor + part > kMost) {
    return bad_input(in_quotes(text) + " is larger than any memory: the limit is 2^63 bytes");
  }
  const std::uint64_t bytes = *whole * factor + part;
  const bool has_part = measure.part.find_first_not_of('0') != std::string_view::npos;
  if (has_part && factor == 1) {
    return bad_input(in_quotes(text) + " is not a whole number of bytes");
  }
  if (has_part && bytes == 0) {
    return bad_input(in_quotes(text) + " is less than one byte");
  }
  return Bytes(static_cast<std::int64_t>(bytes));
}

constexpr std::string_view kSizeExample = "16GiB";

Result<Bytes> parse_size(std::string_view text, bool without_unit) {
  KVPLACE_ASSIGN(measure, split_measure(text, kSizeExample));
  if (measure.unit.empty() && !without_unit) {
    return bad_input(in_quotes(text) + " needs a unit: write it like " + std::string(kSizeExample) + ", or " +
                     measure.number() + "B if bytes are meant (" + unit_list(kByteUnits) + ")");
  }
  const UnitName* unit = measure.unit.empty() ? &kByteUnits[0] : find_unit(kByteUnits, measure.unit);
  if (unit == nullptr) {
    return tl::unexpected(unknown_unit(text, measure, kByteUnits));
  }
  return whole_bytes(text, measure, *unit);
}

}  // namespace

bool counts_bytes(std::string_view name) { return name.find("bytes") != std::string_view::npos; }

Result<Bytes> parse_bytes(std::string_view text) { return parse_size(text, false); }

Result<Bytes> parse_bytes_of(std::string_view name, std::string_view text) {
  return parse_size(text, counts_bytes(name));
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

Result<double> parse_percent(std::string_view text) {
  KVPLACE_ASSIGN(measure, split_measure(text, "90%"));
  if (measure.unit != "%") {
    return bad_input(in_quotes(text) + " is not a percentage, like 90%");
  }
  const std::optional<double> share = scaled(measure.number(), -2);
  if (!share) {
    return bad_input(in_quotes(text) + " is beyond any range");
  }
  return *share;
}

Result<double> parse_amount(std::string_view text) {
  KVPLACE_ASSIGN(measure, split_measure(text, "1,234.5"));
  const std::optional<double> value = scaled(measure.number(), 0);
  if (!measure.unit.empty() || !value) {
    return bad_input(in_quotes(text) + " is not a number of 0 or more, like 1,234.5");
  }
  return *value;
}

}  // namespace kvplace
