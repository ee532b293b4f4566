// Lists, ranges and numbers as a study writes them.
#include <algorithm>
#include <cmath>

#include "kvplace/base/parse.h"
#include "kvplace/sweep/study.h"
#include "sweep/study_keys.h"

namespace kvplace {
namespace {

constexpr std::size_t kMostValues = 100'000;

/// A number and what stands behind it.
struct NumberAndUnit {
  double number = 0;
  std::string unit;
};

Result<NumberAndUnit> split_unit(std::string_view text) {
  const std::size_t end = std::min(text.find_first_not_of("+-0123456789.,"), text.size());
  std::string digits(text.substr(0, end));
  std::erase(digits, ',');
  const Result<double> number = parse_number(digits);
  if (!number) {
    return bad_input(in_quotes(text) + " does not begin with a number, as the ends of a range do");
  }
  return NumberAndUnit{*number, std::string(text.substr(end))};
}

/// The two ends, in one unit.
Result<std::pair<NumberAndUnit, NumberAndUnit>> ends_of(std::string_view from, std::string_view to) {
  KVPLACE_ASSIGN(first, split_unit(from));
  KVPLACE_ASSIGN(last, split_unit(to));
  if (first.unit != last.unit) {
    return bad_input("the ends of a range have one unit, not those of " + in_quotes(from) + " and " + in_quotes(to));
  }
  return std::pair(std::move(first), std::move(last));
}

/// Rounded to 12 digits, so that 0.1 + 2 * 0.1 is written 0.3.
std::string value_text(double number, const std::string& unit) {
  if (number == 0) {
    return "0" + unit;
  }
  const int digits = 11 - static_cast<int>(std::floor(std::log10(std::abs(number))));
  const double scale = std::pow(10.0, std::abs(digits));
  const double rounded = digits >= 0 ? std::round(number * scale) / scale : std::round(number / scale) * scale;
  return format_number(rounded) + unit;
}

/// "from..to..step" as its values, "a|b|c" as its parts, anything else as it is.
Result<std::vector<std::string>> alternatives(std::string_view text) {
  const std::size_t dots = text.find("..");
  if (dots != std::string_view::npos) {
    const std::string_view rest = text.substr(dots + 2);
    const std::size_t second = rest.find("..");
    if (second == std::string_view::npos) {
      return bad_input("the range " + in_quotes(text) + " has no step: write it as from..to..step, like 0.1..0.5..0.1");
    }
    return range_values(text.substr(0, dots), rest.substr(0, second), rest.substr(second + 2));
  }
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('|', begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

}  // namespace

Result<std::vector<std::string>> range_values(std::string_view from, std::string_view to, std::string_view step) {
  KVPLACE_ASSIGN(ends, ends_of(from, to));
  KVPLACE_ASSIGN(by, split_unit(step));
  const auto& [first, last] = ends;
  if (by.unit != first.unit) {
    return bad_input("the step of a range has the unit of its ends, not that of " + in_quotes(step));
  }
  const double count = by.number == 0 ? -1 : (last.number - first.number) / by.number;
  if (!(count >= 0)) {
    return bad_input("no value lies in the range from " + in_quotes(from) + " to " + in_quotes(to) + " by steps of " +
                     in_quotes(step));
  }
  if (count >= kMostValues) {
    return bad_input("the range from " + in_quotes(from) + " to " + in_quotes(to) + " has more than " +
                     std::to_string(kMostValues) + " values");
  }
  std::vector<std::string> values;
  for (std::size_t i = 0; static_cast<double>(i) <= count + 1e-9; ++i) {
    values.push_back(value_text(first.number + static_cast<double>(i) * by.number, first.unit));
  }
  return values;
}

Result<std::vector<std::string>> spaced_values(std::string_view from, std::string_view to, std::size_t count,
                                               bool log) {
  KVPLACE_ASSIGN(ends, ends_of(from, to));
  const auto& [first, last] = ends;
  if (count < 2 || count > kMostValues) {
    return bad_input("a range has a count of 2 to " + std::to_string(kMostValues) + " values, not " +
                     std::to_string(count));
  }
  if (log && !(first.number > 0 && last.number > 0)) {
    return bad_input("the ends of a range of scale log are above 0");
  }
  std::vector<std::string> values;
  for (std::size_t i = 0; i < count; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(count - 1);
    values.push_back(value_text(log ? first.number * std::pow(last.number / first.number, share)
                                    : first.number + share * (last.number - first.number),
                                first.unit));
  }
  return values;
}

Result<std::vector<std::string>> expand_policy(std::string_view text) {
  const NameAndParameters parts = split_name(text);
  std::vector<std::string> texts{std::string(parts.name)};
  std::string_view rest = parts.parameters;
  char before = ':';
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find(','));
    rest = pair.size() == rest.size() ? std::string_view() : rest.substr(pair.size() + 1);
    const std::size_t value = std::min(pair.find('='), pair.size() - 1) + 1;
    KVPLACE_ASSIGN(values, alternatives(pair.substr(value)));
    std::vector<std::string> longer;
    for (const std::string& begun : texts) {
      for (const std::string& end : values) {
        longer.push_back(begun + before + std::string(pair.substr(0, value)) + end);
      }
    }
    texts = std::move(longer);
    before = ',';
  }
  return texts;
}

std::optional<StudyNumber> quantity_of(std::string_view text) {
  if (const auto bytes = parse_bytes(text)) {
    return StudyNumber{static_cast<double>(bytes->value()), "bytes"};
  }
  if (const auto rate = parse_bandwidth(text)) {
    return StudyNumber{rate->value(), "bytes/s"};
  }
  if (const auto time = parse_seconds(text)) {
    return StudyNumber{time->value(), "s"};
  }
  if (const auto number = parse_number(text)) {
    return StudyNumber{*number, ""};
  }
  return std::nullopt;
}

}  // namespace kvplace
