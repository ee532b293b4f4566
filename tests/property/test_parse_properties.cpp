#include <gtest/gtest.h>
// rapidcheck's header builds on gtest's.
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "kvplace/base/config.h"
#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

/// Finite doubles of 0 or more, of every magnitude between 1e-12 and 1e18.
rc::Gen<double> amounts() {
  return rc::gen::map(
      rc::gen::pair(rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << 53), rc::gen::inRange(-28, 3)),
      [](const std::pair<std::int64_t, int>& p) { return static_cast<double>(p.first) * std::pow(10.0, p.second); });
}

RC_GTEST_PROP(ParseProperties, BytesReadBackTheSame, ()) {
  const auto size = *rc::gen::inRange<std::int64_t>(0, std::int64_t{9'000'000'000'000'000'000});
  RC_ASSERT(parse_bytes(format_bytes(Bytes(size))) == Bytes(size));
}

RC_GTEST_PROP(ParseProperties, WholeUnitsOfBytesReadBackTheSame, ()) {
  const auto count = *rc::gen::inRange<std::int64_t>(0, 8'000'000);
  const auto unit = *rc::gen::element<std::int64_t>(1, 1000, 1'000'000, 1'000'000'000, 1 << 10, 1 << 20, 1 << 30);
  RC_ASSERT(parse_bytes(format_bytes(Bytes(count * unit))) == Bytes(count * unit));
}

RC_GTEST_PROP(ParseProperties, SecondsReadBackTheSame, ()) {
  const Seconds time(*amounts());
  RC_ASSERT(parse_seconds(format_seconds(time)) == time);
}

RC_GTEST_PROP(ParseProperties, BandwidthsReadBackTheSame, ()) {
  const BytesPerSecond rate(*amounts());
  RC_ASSERT(parse_bandwidth(format_bandwidth(rate)) == rate);
}

RC_GTEST_PROP(ParseProperties, FlopsReadBackTheSame, ()) {
  const double amount = *amounts();
  RC_ASSERT(parse_flops(format_flops(Flops(amount))) == Flops(amount));
  RC_ASSERT(parse_flops_rate(format_flops_rate(FlopsPerSecond(amount))) == FlopsPerSecond(amount));
}

RC_GTEST_PROP(ParseProperties, NumbersReadBackTheSame, (double value)) {
  RC_PRE(std::isfinite(value));
  RC_ASSERT(parse_number(format_number(value)) == value);
}

RC_GTEST_PROP(ParseProperties, CountsReadBackTheSame, (std::uint64_t count)) {
  RC_ASSERT(parse_count(std::to_string(count)) == count);
}

RC_GTEST_PROP(ParseProperties, AnyTextIsAValueOrABadInput, (const std::string& text)) {
  const auto check = [](const auto& result) {
    RC_ASSERT(result.has_value() || (result.error().kind == ErrorKind::kBadInput && !result.error().message.empty()));
  };
  check(parse_bytes(text));
  check(parse_bandwidth(text));
  check(parse_seconds(text));
  check(parse_flops(text));
  check(parse_flops_rate(text));
  check(parse_count(text));
  check(parse_number(text));
  check(parse_bool(text));
  check(parse_assignment(text));
  check(parse_toml(text, "text"));
}

RC_GTEST_PROP(ParseProperties, TextAfterASizeIsAnError, (const std::string& tail)) {
  RC_PRE(!tail.empty());
  RC_ASSERT(!parse_bytes("16GiB" + tail).has_value());
}

RC_GTEST_PROP(ParseProperties, AKnownNameIsNearestToItself, (const std::vector<std::string>& names)) {
  RC_PRE(!names.empty());
  const std::string name = *rc::gen::elementOf(names);
  RC_ASSERT(nearest_name(name, names) == name);
}

RC_GTEST_PROP(ParseProperties, QuotedTextIsPrintableAndShort, (const std::string& text)) {
  const std::string shown = kvplace::in_quotes(text);
  RC_ASSERT(shown.size() <= 4 * 60 + 5);
  for (const char c : shown) {
    RC_ASSERT(c >= ' ' && c <= '~');
  }
}

}  // namespace
}  // namespace kvplace
