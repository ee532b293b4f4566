#include "kvplace/policy/registry.h"

#include <algorithm>
#include <cmath>

#include "kvplace/base/parse.h"

namespace kvplace {

void register_all(PolicyRegistry& registry);  // generated from the files in policies/

const PolicyRegistry& PolicyRegistry::instance() {
  static const PolicyRegistry kRegistry = [] {
    PolicyRegistry all;
    register_all(all);
    std::sort(all.policies_.begin(), all.policies_.end(),
              [](const PolicyInfo& a, const PolicyInfo& b) { return a.name < b.name; });
    return all;
  }();
  return kRegistry;
}

Result<const PolicyInfo*> PolicyRegistry::find(std::string_view name) const {
  std::vector<std::string> names;
  for (const PolicyInfo& info : policies_) {
    if (info.name == name) {
      return &info;
    }
    names.push_back(info.name);
  }
  return bad_input("unknown policy " + in_quotes(name) + "; the nearest known name is " +
                   in_quotes(nearest_name(name, names)) + " (kvplace list policies prints all)");
}

Result<PolicySpec> PolicyRegistry::parse(std::string_view text) const {
  const std::size_t colon = text.find(':');
  KVPLACE_ASSIGN(info, find(text.substr(0, colon)));
  PolicySpec spec{info->name, {}};
  std::vector<std::string> known;
  for (const ParameterInfo& parameter : info->parameters) {
    spec.parameters[parameter.name] = parameter.default_value;
    known.push_back(parameter.name);
  }
  std::string_view rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    const std::string_view pair = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      return bad_input("policy " + in_quotes(text) + ": write parameters as NAME:key=value,key=value");
    }
    const std::string_view key = pair.substr(0, equals);
    const auto parameter = std::find_if(info->parameters.begin(), info->parameters.end(),
                                        [&](const ParameterInfo& p) { return p.name == key; });
    if (parameter == info->parameters.end()) {
      return bad_input("policy " + info->name + " has no parameter " + in_quotes(key) +
                       (known.empty() ? std::string("; it has none")
                                      : "; the nearest known one is " + in_quotes(nearest_name(key, known))));
    }
    const Result<double> value = parse_number(pair.substr(equals + 1));
    if (!value || *value < parameter->least || *value > parameter->most ||
        (parameter->whole && *value != std::floor(*value))) {
      return bad_input("policy " + info->name + ": " + parameter->name + " must be a " +
                       (parameter->whole ? "whole number" : "number") + " from " + format_number(parameter->least) +
                       " to " + format_number(parameter->most) + " (" + parameter->unit + "), not " +
                       in_quotes(pair.substr(equals + 1)));
    }
    spec.parameters[parameter->name] = *value;
  }
  return spec;
}

std::string PolicySpec::text() const {
  std::string out = name;
  char separator = ':';
  for (const auto& [key, value] : parameters) {
    out += separator + key + "=" + format_number(value);
    separator = ',';
  }
  return out;
}

std::string to_text(Information information) {
  switch (information) {
    case Information::kCausal:
      return "causal";
    case Information::kLookahead:
      return "lookahead";
    case Information::kOracle:
      return "oracle";
    case Information::kIdeal:
      return "ideal";
  }
  return {};
}

}  // namespace kvplace
