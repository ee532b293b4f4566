#include "kvplace/size/target.h"

#include <algorithm>

#include "kvplace/base/measure.h"
#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

constexpr std::string_view kTokens = "tokens/s";
constexpr std::string_view kOfAllNear = "ofall-near";
constexpr std::string_view kCostPrefix = "cost=";
constexpr double kMostShare = 10;

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
  }
  const bool share = target.kind == SizeTarget::Kind::kShareOfAllNear;
  const Result<double> plain = parse_number(number);
  const Result<double> value = share ? parse_percent(number) : (plain ? plain : parse_amount(number));
  if (!value || !(*value > 0)) {
    return bad_input("the target " + in_quotes(text) + " is not like 120tokens/s, 90% or cost=500: " +
                     (value ? in_quotes(number) + " is not above 0" : value.error().message));
  }
  if (share && *value > kMostShare) {
    return bad_input("the target " + in_quotes(text) + " is above " + format_percent(kMostShare) +
                     " of the all-near speed");
  }
  target.value = *value;
  return target;
}

std::string to_text(const SizeTarget& target) {
  switch (target.kind) {
    case SizeTarget::Kind::kTokensPerSecond:
      return format_amount(target.value) + " tokens/s";
    case SizeTarget::Kind::kShareOfAllNear:
      return format_percent(target.value) + " of all-near";
    case SizeTarget::Kind::kCost:
      return "cost=" + format_amount(target.value);
  }
  return {};
}

}  // namespace kvplace
