#include "kvplace/instance/layer_budgets.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "kvplace/base/config.h"
#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

constexpr const char* kExample = ", like [2, 1, 1]";

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') {
    text.remove_prefix(1);
  }
  while (!text.empty() && text.back() == ' ') {
    text.remove_suffix(1);
  }
  return text;
}

/// The list in a JSON document, in the form that TOML entries give.
Result<std::string> list_in_json(const std::string& document, const std::string& path) {
  const nlohmann::json json = nlohmann::json::parse(document, nullptr, false);
  if (json.is_discarded() || !json.is_object()) {
    return bad_input(path + ": is no JSON object");
  }
  const auto list = json.find(kLayerBudgetsKey);
  if (list == json.end() || !list->is_array()) {
    return bad_input(path + ": has no list \"" + kLayerBudgetsKey + "\"");
  }
  std::string text;
  for (const nlohmann::json& element : *list) {
    text += (text.empty() ? "" : ", ") + element.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  }
  return text;
}

Result<std::string> list_in_toml(const std::string& document, const std::string& path) {
  KVPLACE_ASSIGN(entries, parse_toml(document, path));
  std::string text;
  for (const ConfigEntry& entry : entries) {
    if (entry.key.starts_with(std::string(kLayerBudgetsKey) + ".")) {
      text += (text.empty() ? "" : ", ") + entry.text;
    }
  }
  if (text.empty()) {
    return bad_input(path + ": has no list \"" + kLayerBudgetsKey + "\"");
  }
  return text;
}

}  // namespace

Status check_layer_shares(std::span<const double> shares) {
  bool any = false;
  for (const double share : shares) {
    if (!std::isfinite(share) || share < 0) {
      return bad_input("layer budgets are numbers of at least 0, but one is " + format_number(share));
    }
    any = any || share > 0;
  }
  return any ? Status() : bad_input("at least one layer budget must be more than 0");
}

Result<std::vector<double>> parse_layer_shares(std::string_view text) {
  const std::string_view whole = trimmed(text);
  std::string_view list = whole;
  if (list.starts_with('[') != list.ends_with(']')) {
    return bad_input(in_quotes(whole) + " is not a list" + kExample);
  }
  if (list.starts_with('[')) {
    list = list.substr(1, list.size() - 2);
  }
  std::vector<double> shares;
  while (true) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view element = trimmed(list.substr(0, comma));
    const Result<double> share = parse_number(element);
    if (!share) {
      return bad_input(in_quotes(element) + " is not a number of a list of one number per layer" + kExample);
    }
    shares.push_back(*share);
    if (comma == list.size()) {
      break;
    }
    list.remove_prefix(comma + 1);
  }
  KVPLACE_TRY(check_layer_shares(shares));
  return shares;
}

std::string format_layer_shares(std::span<const double> shares) {
  std::string text;
  for (const double share : shares) {
    text += (text.empty() ? "[" : ", ") + format_number(share);
  }
  return text.empty() ? text : text + "]";
}

Result<std::vector<double>> read_layer_budgets(const std::string& path) {
  const bool json = path.ends_with(".json");
  if (!json && !path.ends_with(".toml")) {
    return bad_input(path + ": layer budgets are read from a .json or .toml file, as kvplace budgets -o writes it");
  }
  KVPLACE_ASSIGN(document, read_small_file(path));
  KVPLACE_ASSIGN(list, json ? list_in_json(document, path) : list_in_toml(document, path));
  Result<std::vector<double>> shares = parse_layer_shares(list);
  if (!shares) {
    return bad_input(path + ": " + kLayerBudgetsKey + ": " + shares.error().message);
  }
  return shares;
}

}  // namespace kvplace
