// Quantities to text that reads back as exactly the same value, in the unit that makes it shortest.
#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <utility>

#include "base/decimal.h"
#include "base/unit_names.h"
#include "kvplace/base/measure.h"
#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

/// Digits before the point that a number may have where another unit would do.
constexpr std::size_t kMostWholeDigits = 4;

std::size_t whole_digits(std::string_view decimal) { return std::min(decimal.find('.'), decimal.size()); }

/// Keeps the best text seen so far: the shortest, of equal ones that with the fewest digits before the point.
class ShortestText {
 public:
  void offer(const std::string& decimal, const UnitName& unit) {
    std::string text = decimal + std::string(unit.name);
    const std::size_t digits = whole_digits(decimal);
    if (best_.empty() || std::pair(text.size(), digits) <= std::pair(best_.size(), best_digits_)) {
      best_ = std::move(text);
      best_digits_ = digits;
    }
  }
  [[nodiscard]] bool empty() const { return best_.empty(); }
  [[nodiscard]] const std::string& text() const { return best_; }

 private:
  std::string best_;
  std::size_t best_digits_ = 0;
};

/// The units must ascend.
std::string format_measure(double value, std::span<const UnitName> units) {
  if (std::isinf(value)) {
    return "infinite";
  }
  const UnitName* base = nullptr;
  const UnitName* largest = nullptr;
  ShortestText shortest;
  for (const UnitName& unit : units) {
    if (unit.power_of_2 != 0) {
      continue;  // not every double is a short number of these
    }
    base = unit.power_of_10 == 0 ? &unit : base;
    largest = &unit;
    const std::string decimal = moved_decimal(value, -unit.power_of_10);
    if (value != 0 && decimal.front() != '0' && whole_digits(decimal) <= kMostWholeDigits) {
      shortest.offer(decimal, unit);
    }
  }
  if (!shortest.empty()) {
    return shortest.text();
  }
  const UnitName& unit = value == 0 ? *base : (value < 1 ? units.front() : *largest);
  return moved_decimal(value, -unit.power_of_10) + std::string(unit.name);
}

/// The whole of `size` / `unit` as a decimal; none if that has more digits than any text that is worth it.
std::optional<std::string> exact_decimal(std::int64_t size, std::int64_t unit) {
  constexpr std::size_t kMostDigits = 20;
  std::string text = std::to_string(size / unit);
  std::int64_t rest = size % unit;
  if (rest != 0) {
    text += '.';
  }
  for (; rest != 0; rest = rest * 10 % unit) {
    if (text.size() > kMostDigits) {
      return std::nullopt;
    }
    text += static_cast<char>('0' + rest * 10 / unit);
  }
  return text;
}

}  // namespace

std::string format_bytes(Bytes size) {
  ShortestText shortest;
  for (const UnitName& unit : kByteUnits) {
    const std::int64_t factor = bytes_in(unit);
    const std::optional<std::string> decimal = exact_decimal(size.value(), factor);
    if (decimal && (factor == 1 || decimal->front() != '0') && whole_digits(*decimal) <= kMostWholeDigits) {
      shortest.offer(*decimal, unit);
    }
  }
  return shortest.empty() ? std::to_string(size.value()) + "B" : shortest.text();
}

std::string format_bandwidth(BytesPerSecond rate) { return format_measure(rate.value(), kBandwidthUnits); }
std::string format_flops_rate(FlopsPerSecond rate) { return format_measure(rate.value(), kFlopsRateUnits); }
std::string format_flops(Flops work) { return format_measure(work.value(), kFlopsUnits); }
std::string format_seconds(Seconds time) { return format_measure(time.value(), kTimeUnits); }
std::string format_amount(double value) { return plain_decimal(value); }
std::string format_percent(double share) { return moved_decimal(share, 2) + "%"; }

}  // namespace kvplace
