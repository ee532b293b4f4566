#include "bound/group_value.h"

#include <algorithm>
#include <numeric>

#include "bound/certificate_units.h"

namespace kvplace {
namespace {

constexpr Int128 kMostBlockTicks = Int128{1} << 58;
constexpr std::size_t kNear = 0;
constexpr std::size_t kLinkRead = 1;
constexpr std::size_t kFar = 3;

Int128 far_read(const std::array<Int128, kNumChannels>& prices) { return prices[kLinkRead] + prices[kFar]; }

}  // namespace

StepLoads& StepLoads::operator+=(const StepLoads& other) {
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    fixed_bytes[c] += other.fixed_bytes[c];
  }
  waiting_bytes += other.waiting_bytes;
  units_read += other.units_read;
  whole_reads = whole_reads && other.whole_reads;
  return *this;
}

GroupValue::GroupValue(const PathCosts& costs) : costs_(costs), c_(costs.certificate()) {
  if (costs.any()) {
    return;  // no credit, no forms
  }
  const BoundNumbers& n = c_.numbers;
  split_ = n.mirrored_reads == MirroredReads::kSplit;
  whole_ = Int128{c_.ticks_per_second} * c_.unit_bytes * n.batch;
  const Int128 largest = largest_block(n) / c_.unit_bytes;
  most_price_ = kMostBlockTicks / largest;
  step_units_ = common_block(n) / c_.unit_bytes;
  const Int128 layers = layers_per_group(n);
  most_steps_ = layers * n.blocks_per_layer * n.layers * (largest / step_units_);
  floor_ = layers * (Int128{n.floor_units} * c_.ticks_per_second >> kTimeUnitBits);

  const auto& rates = n.bandwidth_bytes_per_second;
  const Int128 interference = n.interference_2_20;
  for (std::size_t first = 0; first < kNumChannels; ++first) {
    for (std::size_t second = 0; second < kNumChannels; ++second) {
      Ticks form{};
      form[first] = whole_ / rates[first];
      if (n.overlap == Overlap::kNone) {
        if (first != kNear || second == kNear) {
          continue;
        }
        form[second] = whole_ / rates[second];
      } else {
        if (first == second) {
          continue;
        }
        form[second] = whole_ * interference / (kInterferenceUnit * rates[second]);
      }
      forms_.push_back(form);
    }
  }
  for (const std::size_t far : {kLinkRead, kFar}) {
    // A read costs the same on both sides.
    const Int128 both =
        whole_ * (kInterferenceUnit + interference) / (kInterferenceUnit * (Int128{rates[kNear]} + rates[far]));
    if (n.overlap == Overlap::kFull && both * std::max(rates[kNear], rates[far]) <= whole_) {
      Ticks form{};
      form[kNear] = both;
      form[far] = both;
      forms_.push_back(form);
    }
  }
  for (Ticks& form : forms_) {
    for (Int128& price : form) {
      price = std::min(price, most_price_);
    }
  }
  std::sort(forms_.begin(), forms_.end());  // without interference most are alike
  forms_.erase(std::unique(forms_.begin(), forms_.end()), forms_.end());
}

Result<Int128> GroupValue::ticks(std::size_t group, const StepLoads& loads, Int128 rest) const {
  if (*std::max_element(loads.fixed_bytes.begin(), loads.fixed_bytes.end()) > kMostFixedBytes) {
    return rejected("the certificate's sizes are so large that a step moves 2^63 bytes or more");
  }
  Ticks prices{};
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    prices[c] = Int128{c_.channel_prices[group][c]};
  }
  if (costs_.any()) {
    const Int128 waiting = loads.waiting_bytes * costs_.least_far_write(group);
    return (priced_bytes(prices, loads) + waiting) / request_units() + rest;
  }
  const bool whole_blocks = c_.numbers.mode == Mode::kInclusive && loads.whole_reads;
  return of_fixed(prices, loads) + (whole_blocks ? std::max(rest, credit(prices, loads)) : rest);
}

Int128 GroupValue::priced_bytes(const Ticks& prices, const StepLoads& loads) {
  Int128 ticks = 0;
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    ticks += prices[c] * loads.fixed_bytes[c];
  }
  return ticks;
}

/// Of a unit of a near block.
Int128 GroupValue::read(const Ticks& prices) const {
  return split_ ? std::min(prices[kNear], far_read(prices)) : prices[kNear];
}

/// The least, over whole numbers m of blocks that come over the link, of what a group takes more than its prices say.
/// Each form of the time says more by a linear function of the blocks missed, of those of them that stay near, and of
/// those promoted actively; of each block whichever of these says least counts.
Int128 GroupValue::credit(const Ticks& prices, const StepLoads& loads) const {
  const Int128 priced = of_fixed(prices, loads) + loads.units_read * read(prices);
  std::vector<Line> lines;
  lines.reserve(forms_.size() + 1);
  const auto add = [&](const Ticks& form, Int128 at_none) {
    const Int128 far = far_read(form) - far_read(prices);
    const Int128 near = form[kNear] - prices[kNear];
    const Int128 missed = far - (read(form) - read(prices)) + std::min<Int128>(0, near);
    lines.push_back({at_none - priced, step_units_ * std::min(missed, far + near)});
  };
  for (const Ticks& form : forms_) {
    add(form, of_fixed(form, loads) + loads.units_read * read(form));
  }
  add({}, floor_);
  const auto at = [&lines](Int128 m) {
    Int128 most = lines.front().at_none + m * lines.front().slope;
    for (const Line& line : lines) {
      most = std::max(most, line.at_none + m * line.slope);
    }
    return most;
  };
  const auto is_enough = [&at](Int128 m) { return at(m) <= at(m + 1); };  // convex in m
  Int128 low = 0;
  Int128 high = std::min<Int128>(1, most_steps_);
  while (high < most_steps_ && !is_enough(high)) {  // mostly few
    low = high + 1;
    high = std::min(2 * high, most_steps_);
  }
  while (low < high) {
    const Int128 middle = (low + high) / 2;
    if (is_enough(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return at(low);
}

}  // namespace kvplace
