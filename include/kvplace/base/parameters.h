/// Parameters of things chosen by name (policies, selection methods): their description, and "NAME:key=value,..." read
/// and written.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"

namespace kvplace {

/// One parameter; values are numbers in the stated unit.
struct ParameterInfo {
  std::string name;
  std::string doc;
  std::string unit;
  double default_value = 0;
  double least = 0;
  double most = 0;
  bool whole = false;                     ///< must be an integer
  std::vector<std::string> choices = {};  ///< not empty: written as one of these words; the value is the word's index
};

/// Values of all parameters, complete and in range.
using Parameters = std::map<std::string, double>;

/// "NAME:key=value,..." taken apart at its first colon.
struct NameAndParameters {
  std::string_view name;
  std::string_view parameters;  ///< empty if there is no colon
};
[[nodiscard]] NameAndParameters split_name(std::string_view text);

/// Reads "key=value,...", fills in defaults and checks ranges. `what` ("policy lru") begins the messages, which name
/// the range, or the nearest key or word.
[[nodiscard]] Result<Parameters> parse_parameters(std::string_view what, std::span<const ParameterInfo> known,
                                                  std::string_view text);

/// "name:key=value,..." with all parameters; what parse_parameters reads.
[[nodiscard]] std::string format_parameters(std::string_view name, std::span<const ParameterInfo> known,
                                            const Parameters& parameters);

}  // namespace kvplace
