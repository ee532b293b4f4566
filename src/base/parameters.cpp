#include "kvplace/base/parameters.h"

#include <algorithm>
#include <cmath>

#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

Result<double> parse_choice(std::string_view what, const ParameterInfo& parameter, std::string_view text) {
  const auto chosen = std::find(parameter.choices.begin(), parameter.choices.end(), text);
  if (chosen != parameter.choices.end()) {
    return static_cast<double>(chosen - parameter.choices.begin());
  }
  std::string words;
  for (const std::string& word : parameter.choices) {
    words += (words.empty() ? "" : ", ") + word;
  }
  return bad_input(std::string(what) + ": " + parameter.name + " must be one of " + words + ", not " + in_quotes(text) +
                   "; the nearest is " + in_quotes(nearest_name(text, parameter.choices)));
}

Result<double> parse_value(std::string_view what, const ParameterInfo& parameter, std::string_view text) {
  if (!parameter.choices.empty()) {
    return parse_choice(what, parameter, text);
  }
  const Result<double> value = parse_number(text);
  if (!value || *value < parameter.least || *value > parameter.most ||
      (parameter.whole && *value != std::floor(*value))) {
    return bad_input(std::string(what) + ": " + parameter.name + " must be a " +
                     (parameter.whole ? "whole number" : "number") + " from " + format_number(parameter.least) +
                     " to " + format_number(parameter.most) + " (" + parameter.unit + "), not " + in_quotes(text));
  }
  return *value;
}

}  // namespace

NameAndParameters split_name(std::string_view text) {
  const std::size_t colon = text.find(':');
  return {text.substr(0, colon), colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1)};
}

Result<Parameters> parse_parameters(std::string_view what, std::span<const ParameterInfo> known,
                                    std::string_view text) {
  Parameters parameters;
  std::vector<std::string> names;
  for (const ParameterInfo& parameter : known) {
    parameters[parameter.name] = parameter.default_value;
    names.push_back(parameter.name);
  }
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    const std::string_view pair = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      return bad_input(std::string(what) + ": write parameters as NAME:key=value,key=value, not " + in_quotes(pair));
    }
    const std::string_view key = pair.substr(0, equals);
    const auto parameter =
        std::find_if(known.begin(), known.end(), [&](const ParameterInfo& p) { return p.name == key; });
    if (parameter == known.end()) {
      return bad_input(std::string(what) + " has no parameter " + in_quotes(key) +
                       (names.empty() ? std::string("; it has none")
                                      : "; the nearest known one is " + in_quotes(nearest_name(key, names))));
    }
    KVPLACE_ASSIGN(value, parse_value(what, *parameter, pair.substr(equals + 1)));
    parameters[parameter->name] = value;
  }
  return parameters;
}

std::string format_parameters(std::string_view name, std::span<const ParameterInfo> known,
                              const Parameters& parameters) {
  std::string out(name);
  char separator = ':';
  for (const auto& [key, value] : parameters) {
    const auto info = std::find_if(known.begin(), known.end(), [&](const ParameterInfo& p) { return p.name == key; });
    const bool is_word = info != known.end() && !info->choices.empty();
    out += separator + key + "=" + (is_word ? info->choices[static_cast<std::size_t>(value)] : format_number(value));
    separator = ',';
  }
  return out;
}

}  // namespace kvplace
