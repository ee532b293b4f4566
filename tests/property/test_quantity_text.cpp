// What is printed can be typed back: exact text as the same value, short text as what it shows, to the last digit.
#include <gtest/gtest.h>
// rapidcheck's header builds on gtest's.
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kvplace/base/measure.h"
#include "kvplace/base/parse.h"
#include "kvplace/base/short_text.h"
#include "kvplace/size/target.h"

namespace kvplace {
namespace {

/// Sizes of every magnitude, and those beside a power of two or ten, where texts change their unit.
rc::Gen<std::int64_t> sizes() {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const auto any = rc::gen::map(rc::gen::pair(rc::gen::inRange<std::int64_t>(0, kMost), rc::gen::inRange(0, 63)),
                                [](const std::pair<std::int64_t, int>& p) { return p.first >> p.second; });
  const auto near_power = rc::gen::map(
      rc::gen::tuple(rc::gen::inRange(0, 18), rc::gen::arbitrary<bool>(), rc::gen::inRange<std::int64_t>(-600, 600)),
      [](const std::tuple<int, bool, std::int64_t>& t) {
        const auto [n, decimal, off] = t;
        const double power = decimal ? std::pow(10.0, n) : std::ldexp(1, 3 * n);
        return std::max<std::int64_t>(0, static_cast<std::int64_t>(power) + off);
      });
  return rc::gen::oneOf(any, near_power);
}

/// Doubles of 0 or more with few or all digits, 1e-12 to 1e20.
rc::Gen<double> any_amount() {
  return rc::gen::map(rc::gen::tuple(rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << 53), rc::gen::inRange(0, 53),
                                     rc::gen::inRange(-12, 5)),
                      [](const std::tuple<std::int64_t, int, int>& t) {
                        const auto [digits, shift, exponent] = t;
                        return static_cast<double>(digits >> shift) * std::pow(10.0, exponent);
                      });
}

/// The digits of "17.6 MiB" or "1.23us", without the unit.
std::string number_in(const std::string& text) { return text.substr(0, text.find_first_not_of("0123456789.,")); }

/// Half a unit of the last digit that `text` shows, relative to what it shows; 1 if it shows 0.
double half_last_digit(const std::string& text) {
  const std::string number = number_in(text);
  const std::size_t point = number.find('.');
  const double last = point == std::string::npos ? 1 : std::pow(10.0, -static_cast<double>(number.size() - point - 1));
  const double shown = parse_amount(number).value();
  return shown > 0 ? last / 2 / shown : 1;
}

/// That `text` has no more than so many digits before its point, where units reach so far.
bool is_readable(const std::string& text) {
  const std::string number = number_in(text);
  return std::min(number.find('.'), number.size()) <= 4;
}

RC_GTEST_PROP(QuantityText, SizesAreExactAndReadable, ()) {
  const Bytes size(*sizes());
  const std::string text = format_bytes(size);
  RC_ASSERT(parse_bytes(text) == size);
  RC_ASSERT(is_readable(text));
  // One space may stand before the unit.
  std::string spaced = text;
  RC_ASSERT(parse_bytes(spaced.insert(number_in(text).size(), 1, ' ')) == size);
}

RC_GTEST_PROP(QuantityText, SizesRoundDownToTheByte, ()) {
  // Against arithmetic of another kind: 128 bits, up to nine decimals.
  const auto whole = *rc::gen::inRange<std::int64_t>(0, 1000);
  const auto part = *rc::gen::inRange<std::int64_t>(0, 1'000'000'000);
  const auto [name, unit] =
      *rc::gen::elementOf(std::vector<std::pair<std::string, std::int64_t>>{{"kB", 1000},
                                                                            {"MB", 1'000'000},
                                                                            {"GB", 1'000'000'000},
                                                                            {"TB", 1'000'000'000'000},
                                                                            {"KiB", 1 << 10},
                                                                            {"MiB", 1 << 20},
                                                                            {"GiB", 1 << 30},
                                                                            {"TiB", std::int64_t{1} << 40}});
  const std::string digits = std::to_string(1'000'000'000 + part).substr(1);
  __extension__ using Wide = __int128;
  const Wide billionths = (static_cast<Wide>(whole) * 1'000'000'000 + part) * unit;
  const Bytes expected(static_cast<std::int64_t>(billionths / 1'000'000'000));
  RC_PRE(expected.value() > 0);
  RC_ASSERT(parse_bytes(std::to_string(whole) + "." + digits + " " + name) == expected);
}

RC_GTEST_PROP(QuantityText, RatesTimesAndWorkAreExactAndReadable, ()) {
  const double amount = *any_amount();
  RC_ASSERT(parse_bandwidth(format_bandwidth(BytesPerSecond(amount))) == BytesPerSecond(amount));
  RC_ASSERT(parse_seconds(format_seconds(Seconds(amount))) == Seconds(amount));
  RC_ASSERT(parse_flops(format_flops(Flops(amount))) == Flops(amount));
  RC_ASSERT(parse_flops_rate(format_flops_rate(FlopsPerSecond(amount))) == FlopsPerSecond(amount));
  RC_ASSERT(parse_percent(format_percent(amount)) == amount);
  RC_ASSERT(parse_amount(format_amount(amount)) == amount);
  if (amount >= 1 && amount < 1e16) {
    RC_ASSERT(is_readable(format_bandwidth(BytesPerSecond(amount))));
  }
  if (amount >= 1e-9 && amount < 1e4) {
    RC_ASSERT(is_readable(format_seconds(Seconds(amount))));
  }
}

RC_GTEST_PROP(QuantityText, ShortSizesAreReadAsWhatTheyShow, ()) {
  const auto size = static_cast<double>(*sizes());
  const std::string text = short_bytes(size);
  const Result<Bytes> read = parse_bytes(text);
  RC_ASSERT(read.has_value());
  const auto shown = static_cast<double>(read->value());
  RC_ASSERT(std::abs(shown - size) <= std::max(size, shown) * half_last_digit(text) * (1 + 1e-9) + 1);
  RC_ASSERT(short_bytes(shown) == text);
  RC_ASSERT(is_readable(text) || size > 0x1p60);
}

RC_GTEST_PROP(QuantityText, ShortTimesAreReadAsWhatTheyShow, ()) {
  const double time = *any_amount();
  const std::string text = short_time(time);
  const Result<Seconds> read = parse_seconds(text);
  RC_ASSERT(read.has_value());
  RC_ASSERT(std::abs(read->value() - time) <= std::max(read->value() * half_last_digit(text) * (1 + 1e-9), 0.005e-9));
  RC_ASSERT(short_time(read->value()) == text);
  for (const Rounding rounding : {Rounding::kUp, Rounding::kDown}) {
    const std::string to_a_side = short_time(time, rounding);
    const double shown = parse_seconds(to_a_side).value().value();
    RC_ASSERT((rounding == Rounding::kUp ? shown >= time * (1 - 1e-11) : shown <= time * (1 + 1e-11)));
    RC_ASSERT(std::abs(shown - time) <= std::max(time * 0.011, 0.011e-9));
  }
}

RC_GTEST_PROP(QuantityText, LongSizesKeepTheirSide, ()) {
  const std::int64_t size = *sizes();
  RC_PRE(size < std::int64_t{1} << 56);
  for (const Rounding rounding : {Rounding::kNearest, Rounding::kUp, Rounding::kDown}) {
    const std::string text = long_bytes(size, rounding);
    const Result<Bytes> read = parse_bytes(text);
    RC_ASSERT(read.has_value());
    RC_ASSERT(rounding != Rounding::kUp || read->value() >= size);
    RC_ASSERT(rounding != Rounding::kDown || read->value() <= size);
    RC_ASSERT(std::abs(static_cast<double>(read->value() - size)) <= static_cast<double>(size) * 1e-5);
    RC_ASSERT(long_bytes(read->value(), rounding) == text);
  }
}

RC_GTEST_PROP(QuantityText, FewDigitsAreReadAsWhatTheyShow, ()) {
  const double value = *any_amount();
  const int digits = *rc::gen::inRange(1, 7);
  for (const Rounding rounding : {Rounding::kNearest, Rounding::kUp, Rounding::kDown}) {
    const std::string text = few_digits(value, digits, rounding);
    const Result<double> read = parse_amount(text);
    RC_ASSERT(read.has_value());
    RC_ASSERT(rounding != Rounding::kUp || *read >= value * (1 - 1e-11));
    RC_ASSERT(rounding != Rounding::kDown || *read <= value * (1 + 1e-11));
    RC_ASSERT(std::abs(*read - value) <= std::max(1.0, value) * std::pow(10.0, 1 - digits));
    RC_ASSERT(few_digits(*read, digits, rounding) == text);
  }
}

RC_GTEST_PROP(QuantityText, CountsWithCommasAreExact, (std::uint64_t count)) {
  RC_ASSERT(parse_count(with_commas(count)) == count);
  RC_ASSERT(with_commas(parse_count(with_commas(count)).value()) == with_commas(count));
}

RC_GTEST_PROP(QuantityText, PercentagesAreReadAsWhatTheyShow, ()) {
  const double share = *any_amount() / 1e9;
  const std::string text = percent(share);
  const Result<double> read = parse_percent(text);
  RC_ASSERT(read.has_value());
  RC_ASSERT(std::abs(*read - share) <= 0.0005 * (1 + 1e-9) + share * 1e-15);
  RC_ASSERT(percent(*read) == text);
}

RC_GTEST_PROP(QuantityText, TargetsAreExact, ()) {
  const double amount = *any_amount();
  RC_PRE(amount > 0);
  using Kind = SizeTarget::Kind;
  for (const Kind kind : {Kind::kTokensPerSecond, Kind::kShareOfAllNear, Kind::kCost}) {
    if (kind == Kind::kShareOfAllNear && amount > 10) {
      continue;
    }
    const Result<SizeTarget> read = parse_target(to_text({kind, amount}));
    RC_ASSERT(read.has_value());
    RC_ASSERT(read->kind == kind);
    RC_ASSERT(read->value == amount);
  }
}

}  // namespace
}  // namespace kvplace
