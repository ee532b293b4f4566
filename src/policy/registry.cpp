#include "kvplace/policy/registry.h"

#include <algorithm>

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

void PolicyRegistry::add(PolicyInfo info) {
  if (info.information == Information::kLookahead) {
    info.parameters.push_back(
        {"accuracy", "chance of each told read to be right; wrong ones follow --seed", "share", 1, 0, 1, false});
  }
  policies_.push_back(std::move(info));
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
  const NameAndParameters parts = split_name(text);
  KVPLACE_ASSIGN(info, find(parts.name));
  KVPLACE_ASSIGN(parameters, parse_parameters("policy " + info->name, info->parameters, parts.parameters));
  return PolicySpec{info->name, std::move(parameters)};
}

namespace {

std::vector<ParameterInfo> known_parameters(const std::string& policy) {
  const Result<const PolicyInfo*> info = PolicyRegistry::instance().find(policy);
  return info ? (*info)->parameters : std::vector<ParameterInfo>();
}

}  // namespace

std::string PolicySpec::text() const { return format_parameters(name, known_parameters(name), parameters); }

std::string PolicySpec::label() const {
  const std::vector<ParameterInfo> known = known_parameters(name);
  Parameters changed = parameters;
  for (const ParameterInfo& parameter : known) {
    const auto value = changed.find(parameter.name);
    if (value != changed.end() && value->second == parameter.default_value) {
      changed.erase(value);
    }
  }
  return format_parameters(name, known, changed);
}

std::string to_text(Information information) {
  switch (information) {
    case Information::kCausal:
      return "causal";
    case Information::kRanked:
      return "ranked";
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
