#include "kvplace/base/parse.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/decimal.h"

namespace kvplace {

Result<std::uint64_t> parse_count(std::string_view text) {
  const std::string digits = without_grouping(text).value_or("");
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::result_out_of_range) {
    return bad_input(in_quotes(text) + " is too large: the limit is 2^64 - 1");
  }
  if (error != std::errc() || end != digits.data() + digits.size()) {
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

/// "RTX-5090" and "rtx5090" are one.
std::string without_marks(std::string_view text) {
  std::string bare = in_lower_case(text);
  std::erase_if(bare, [](char c) { return c == '-' || c == '_' || c == '.' || c == ' '; });
  return bare;
}

}  // namespace

std::string nearest_name(std::string_view name, std::span<const std::string> candidates) {
  const std::string wanted = in_lower_case(name);
  // What was begun rightly is meant, with other marks between its parts if need be; of several, the shortest.
  for (const auto& form : {in_lower_case, without_marks}) {
    const std::string* longer = nullptr;
    for (const std::string& candidate : candidates) {
      if (!form(name).empty() && form(candidate).starts_with(form(name)) &&
          (longer == nullptr || candidate.size() < longer->size())) {
        longer = &candidate;
      }
    }
    if (longer != nullptr) {
      return *longer;
    }
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
