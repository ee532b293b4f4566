#include "solve/prices/quantize.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kvplace {
namespace {

constexpr double kMostTicks = 0x1p61;       // of any path
constexpr double kMostTickRate = 0x1p62;    // per second
constexpr double kLess = 1 - 0x1p-22;       // for what must stay below a limit, itself rounded down
constexpr double kMostScale = 0x1p100;      // ticks per second * bytes of a unit * batch
constexpr double kMostFloor = 0x1p126;      // the same * ticks of a group's floor
constexpr double kMostBlockTicks = 0x1p57;  // of a block on the slowest channel, so that the credit knows its time
constexpr double kShy = 1 - 0x1p-44;        // more than all rounding of a price

std::int64_t unit_of(const BoundNumbers& numbers, bool has_read_bytes) {
  if (has_read_bytes) {
    return 1;
  }
  std::int64_t unit = common_block(numbers);
  for (const std::int64_t bytes : numbers.new_kv_bytes) {
    unit = numbers.mode == Mode::kExclusive ? std::gcd(unit, bytes) : unit;
  }
  return unit;
}

/// The share of a step's time that channel shares are worth: more than 1 cannot be, but for a solver's rounding.
double claimed_by(const std::array<double, kNumChannels>& shares, const BoundNumbers& numbers) {
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  const double near = shares[static_cast<std::size_t>(Channel::kNearMem)];
  if (numbers.overlap == Overlap::kNone) {
    return std::max(near, sum - near);
  }
  const double both = 1 + std::ldexp(static_cast<double>(numbers.interference_2_20), -20);
  return std::max(*std::max_element(shares.begin(), shares.end()), sum / both);
}

}  // namespace

ShareTable shares_of(const DualPrices& prices, const std::vector<PriceForm>& forms) {
  ShareTable table;
  table.rows = prices.rows;
  table.start = prices.start;
  table.shares.resize(prices.mixture.size() / forms.size());
  for (std::size_t group = 0; group < table.shares.size(); ++group) {
    for (std::size_t f = 0; f < forms.size(); ++f) {
      for (std::size_t c = 0; c < kNumChannels; ++c) {
        table.shares[group][c] += prices.mixture[group * forms.size() + f] * forms[f].share[c];
      }
    }
  }
  return table;
}

Certificate quantize(Claim claim, const BoundNumbers& numbers, bool has_read_bytes, const ShareTable& table) {
  Certificate certificate;
  certificate.claim = claim;
  certificate.numbers = numbers;
  certificate.unit_bytes = unit_of(numbers, has_read_bytes);
  const auto unit = static_cast<double>(certificate.unit_bytes);
  const double scale = unit * static_cast<double>(numbers.batch);
  std::vector<double> valid(table.shares.size());
  std::transform(table.shares.begin(), table.shares.end(), valid.begin(),
                 [&](const auto& shares) { return 1 / std::max(1.0, claimed_by(shares, numbers)); });
  const auto price = [&](std::size_t group, std::size_t c) {
    return std::max(0.0, table.shares[group][c]) * valid[group] * scale /
           static_cast<double>(numbers.bandwidth_bytes_per_second[c]);
  };
  // Seconds that the dearest path could cost, as the verifier reckons it, sets the length of a tick.
  double dearest = table.start * unit;
  const std::size_t layers_per_group = table.rows.size() / table.shares.size();
  for (std::size_t group = 0; group < table.shares.size(); ++group) {
    double sum = 0;
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      sum += price(group, c);
    }
    dearest += 3 * sum * static_cast<double>(layers_per_group);
  }
  for (const double row : table.rows) {
    dearest += row * unit;
  }
  const double largest = static_cast<double>(largest_block(numbers)) / unit;
  const auto slowest = static_cast<double>(
      *std::min_element(numbers.bandwidth_bytes_per_second.begin(), numbers.bandwidth_bytes_per_second.end()));
  const double floor =
      std::ldexp(static_cast<double>(numbers.floor_units), -60) * static_cast<double>(layers_per_group);
  const double rate =
      std::min({kMostTicks / std::max(dearest * largest, 0x1p-60), kMostTickRate, kMostScale / scale * kLess,
                kMostBlockTicks * slowest / (scale * largest), std::sqrt(kMostFloor / (floor * scale)) * kLess});
  certificate.ticks_per_second = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(rate));

  const auto ticks = static_cast<double>(certificate.ticks_per_second);
  const auto whole = [&](double seconds) {
    return static_cast<std::uint64_t>(std::max(0.0, std::floor(seconds * ticks * kShy)));
  };
  certificate.channel_prices.resize(table.shares.size());
  for (std::size_t group = 0; group < table.shares.size(); ++group) {
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      certificate.channel_prices[group][c] = whole(price(group, c));
    }
  }
  certificate.row_prices.reserve(table.rows.size());
  for (const double row : table.rows) {
    certificate.row_prices.push_back(whole(row * unit));
  }
  certificate.start_price = numbers.start == Start::kFree ? whole(table.start * unit) : 0;
  return certificate;
}

}  // namespace kvplace
