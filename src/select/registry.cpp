#include "kvplace/select/registry.h"

#include <algorithm>

#include "kvplace/base/parse.h"
#include "select/method.h"

namespace kvplace {

void register_all(SelectRegistry& registry);  // generated from the files in methods/

namespace {

/// The budget is a count or a share, and the one that was not named leaves the parameters.
Status settle_budget(const SelectMethodInfo& info, std::string_view text, Parameters& parameters) {
  const std::string& count = info.count_parameter;
  if (count.empty()) {
    return {};
  }
  std::vector<ParameterInfo> unset = info.parameters;  // with a default that cannot be written, to see what was named
  for (ParameterInfo& parameter : unset) {
    parameter.default_value = parameter.name == count ? 0 : parameter.default_value;
  }
  KVPLACE_ASSIGN(named, parse_parameters(info.name, unset, text));
  if (parameters.at("share") == 0) {
    parameters.erase("share");
    const double forced = parameters.at("sinks") + parameters.at("recent");
    if (forced > parameters.at(count)) {
      return bad_input("selection " + info.name + ": sinks and recent keep " + format_number(forced) +
                       " blocks, more than " + count + " = " + format_number(parameters.at(count)) + "; raise " +
                       count + " or keep fewer");
    }
  } else if (named.at(count) != 0) {
    return bad_input("selection " + info.name + ": " + count + " and share both state the budget; give one of them");
  } else {
    parameters.erase(count);
  }
  return {};
}

}  // namespace

const SelectRegistry& SelectRegistry::instance() {
  static const SelectRegistry kRegistry = [] {
    SelectRegistry all;
    register_all(all);
    std::sort(all.methods_.begin(), all.methods_.end(),
              [](const SelectMethodInfo& a, const SelectMethodInfo& b) { return a.name < b.name; });
    return all;
  }();
  return kRegistry;
}

Result<const SelectMethodInfo*> SelectRegistry::find(std::string_view name) const {
  std::vector<std::string> names;
  for (const SelectMethodInfo& info : methods_) {
    if (info.name == name) {
      return &info;
    }
    names.push_back(info.name);
  }
  return bad_input("unknown selection method " + in_quotes(name) + "; the nearest known name is " +
                   in_quotes(nearest_name(name, names)));
}

Result<SelectSpec> SelectRegistry::parse(std::string_view text) const {
  const NameAndParameters parts = split_name(text);
  KVPLACE_ASSIGN(info, find(parts.name));
  KVPLACE_ASSIGN(parameters, parse_parameters("selection " + info->name, info->parameters, parts.parameters));
  KVPLACE_TRY(settle_budget(*info, parts.parameters, parameters));
  return SelectSpec{info->name, std::move(parameters)};
}

std::string SelectSpec::text() const {
  const Result<const SelectMethodInfo*> info = SelectRegistry::instance().find(name);
  return format_parameters(
      name, info ? std::span<const ParameterInfo>((*info)->parameters) : std::span<const ParameterInfo>(), parameters);
}

std::string to_text(SelectNeeds needs) {
  switch (needs) {
    case SelectNeeds::kNothing:
      return "nothing";
    case SelectNeeds::kQueriesAndKeys:
      return "queries and keys";
    case SelectNeeds::kScoresOrQueries:
      return "scores or queries and keys";
    case SelectNeeds::kScores:
      return "scores";
  }
  return {};
}

}  // namespace kvplace
