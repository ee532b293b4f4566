#include "kvplace/size/target.h"

#include <algorithm>

#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

constexpr std::string_view kTokens = "tokens/s";
constexpr std::string_view kOfAllNear = "ofall-near";
constexpr std::string_view kCostPrefix = "cost=";
constexpr double kMostPercent = 1000;

}  // namespace

Result<SizeTarget> parse_target(std::string_view text) {
  std::string packed(text);
  std::erase(packed, ' ');
  std::string_view number = packed;
  SizeTarget target;
  if (number.starts_with(kCostPrefix)) {
    target.kind = SizeTarget::Kind::kCost;
    number.remove_prefix(kCostPrefix.size());
  } else if (number.ends_with(kTokens)) {
    target.kind = SizeTarget::Kind::kTokensPerSecond;
    number.remove_suffix(kTokens.size());
  } else {
    if (number.ends_with(kOfAllNear)) {
      number.remove_suffix(kOfAllNear.size());
    }
    if (!number.ends_with('%')) {
      return bad_input("the target " + in_quotes(text) + " is not like 120tokens/s, 90% or cost=500");
    }
    number.remove_suffix(1);
  }
  const Result<double> value = parse_number(number);
  if (!value || !(*value > 0)) {
    return bad_input("the target " + in_quotes(text) +
                     " is not like 120tokens/s, 90% or cost=500: " + in_quotes(number) + " is no number above 0");
  }
  target.value = *value;
  if (target.kind == SizeTarget::Kind::kShareOfAllNear) {
    if (*value > kMostPercent) {
      return bad_input("the target " + in_quotes(text) + " is above " + format_number(kMostPercent) +
                       " % of the all-near speed");
    }
    target.value = *value / 100;
  }
  return target;
}

std::string to_text(const SizeTarget& target) {
  switch (target.kind) {
    case SizeTarget::Kind::kTokensPerSecond:
      return format_number(target.value) + " tokens/s";
    case SizeTarget::Kind::kShareOfAllNear:
      return format_number(target.value * 100) + "% of all-near";
    case SizeTarget::Kind::kCost:
      return "cost=" + format_number(target.value);
  }
  return {};
}

}  // namespace kvplace
