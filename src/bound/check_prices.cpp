#include "bound/check_prices.h"

#include <algorithm>
#include <string>

#include "bound/certificate_units.h"

namespace kvplace {
namespace {

constexpr Int128 kOne = 1;
constexpr Int128 kMostShareUnit = kOne << 100;  // and all limits below: values must be less
constexpr Int128 kMostPathTicks = kOne << 62;
constexpr Int128 kMostFloorProduct = kOne << 126;

Status check_trace(const BoundNumbers& numbers, const TraceReader& trace) {
  const TraceTotals& totals = trace.totals();
  if (totals.digest.empty()) {
    return rejected("the trace was recovered from a truncated file and has no digest to compare");
  }
  if (numbers.trace_digest != totals.digest) {
    return rejected("the certificate speaks about another trace (digest " + numbers.trace_digest + ", not " +
                    totals.digest + ")");
  }
  if (numbers.layers != trace.meta().layers || numbers.steps != totals.steps ||
      numbers.blocks_per_layer != totals.blocks_per_layer) {
    return rejected("the certificate's layers, steps or blocks per layer are not the trace's");
  }
  if (numbers.layers == 0 || numbers.steps == 0 || trace.meta().layout.initial_blocks() > totals.blocks_per_layer) {
    return rejected("the trace contradicts itself: it has no steps, or fewer blocks than it begins with");
  }
  return {};
}

Status check_numbers(const BoundNumbers& numbers, const TraceMeta& meta) {
  const auto out_of_range = [](const std::string& what) {
    return rejected("the certificate's " + what + " is out of range");
  };
  if (numbers.batch < 1) {
    return out_of_range("batch");
  }
  const auto is_by_layer = [&](std::size_t count) { return count == 1 || count == numbers.layers; };
  const bool is_by_running = numbers.fixed_bytes.size() == std::size_t{meta.layout.most_running()} * numbers.layers;
  if (!is_by_layer(numbers.kv_block_bytes.size()) || !is_by_layer(numbers.new_kv_bytes.size()) ||
      !(is_by_layer(numbers.fixed_bytes.size()) || (meta.layout.served != nullptr && is_by_running))) {
    return rejected("the certificate's lists by layer are not as long as it has layers");
  }
  if (meta.layout.served != nullptr && numbers.batch != 1) {
    return rejected("the certificate's batch is not 1, though the trace has the requests of a served batch");
  }
  if (std::any_of(numbers.kv_block_bytes.begin(), numbers.kv_block_bytes.end(), [](auto bytes) { return bytes < 1; })) {
    return out_of_range("kv_block_bytes");
  }
  if (meta.layout.experts > 0 ? numbers.expert_block_bytes < 1 : numbers.expert_block_bytes != 0) {
    return out_of_range("expert_block_bytes");
  }
  for (std::uint32_t layer = 0; layer < numbers.layers; ++layer) {
    const std::int64_t written = of_layer(numbers.new_kv_bytes, layer);
    if (written < 0 || written > of_layer(numbers.kv_block_bytes, layer)) {
      return out_of_range("new_kv_bytes");
    }
  }
  if (numbers.capacity_bytes < 0) {
    return out_of_range("capacity_bytes");
  }
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    for (const auto& by_channel : numbers.fixed_bytes) {
      if (by_channel[c].bytes < 0 || by_channel[c].per_token < 0) {
        return out_of_range("fixed_bytes");
      }
    }
    if (numbers.bandwidth_bytes_per_second[c] < 1 || numbers.bandwidth_bytes_per_second[c] >= kBandwidthLimit) {
      return out_of_range("bandwidth_bytes_per_second");
    }
  }
  if (numbers.interference_2_20 >= kInterferenceUnit) {
    return out_of_range("interference_2_20");
  }
  if (numbers.floor_units < 0 || numbers.overhead_units < 0) {
    return out_of_range("floor_units or overhead_units");
  }
  if (numbers.mirrored_reads == MirroredReads::kSplit && numbers.mode == Mode::kExclusive) {
    return rejected("the certificate splits mirrored reads in exclusive mode, where no block is on both sides");
  }
  return {};
}

Status check_units(const Certificate& certificate, const TraceMeta& meta) {
  const BoundNumbers& numbers = certificate.numbers;
  const std::int64_t unit = certificate.unit_bytes;
  if (certificate.ticks_per_second < 1 || unit < 1) {
    return rejected("the certificate's ticks_per_second or unit_bytes is 0");
  }
  if (meta.has_read_bytes && unit != 1) {
    return rejected("the certificate's unit_bytes must be 1, as the trace has partial reads");
  }
  const bool divides_new_kv = std::all_of(numbers.new_kv_bytes.begin(), numbers.new_kv_bytes.end(),
                                          [unit](std::int64_t bytes) { return bytes % unit == 0; });
  if (common_block(numbers) % unit != 0 || (numbers.mode == Mode::kExclusive && !divides_new_kv)) {
    return rejected("the certificate's unit_bytes does not divide the sizes of blocks");
  }
  if (certificate.channel_prices.size() != num_groups(numbers) ||
      certificate.row_prices.size() != std::uint64_t{numbers.steps} * numbers.layers) {
    return rejected("the certificate's prices are not as many as its steps and layers need");
  }
  if (certificate.start_price != 0 && numbers.start != Start::kFree) {
    return rejected("the certificate prices the initial placement, which is given");
  }
  return {};
}

/// No path of a block costs 2^62 ticks: in a step it pays for at most one read or append and one move, which loads near
/// and one direction of far.
Status check_path_costs(const Certificate& certificate) {
  const BoundNumbers& numbers = certificate.numbers;
  const std::int64_t steps = layers_per_group(numbers);
  const Int128 largest = largest_block(numbers) / certificate.unit_bytes;
  Int128 ticks = certificate.start_price;
  for (const auto& price : certificate.channel_prices) {
    const Int128 far = std::max(price[1], price[2]);
    ticks += 3 * steps * std::max<Int128>(price[0], far + price[3]);
  }
  for (const std::uint64_t price : certificate.row_prices) {
    ticks += price;
  }
  if (ticks >= kMostPathTicks || ticks * largest >= kMostPathTicks) {
    return rejected("the certificate's prices are so large that the cost of a block may overflow");
  }
  return {};
}

/// D * U * n, or 0 if it is too large.
Int128 share_unit(const Certificate& certificate) {
  Int128 product = Int128{certificate.ticks_per_second} * certificate.unit_bytes;
  const bool overflow = __builtin_mul_overflow(product, Int128{certificate.numbers.batch}, &product);
  return overflow || product >= kMostShareUnit ? 0 : product;
}

/// Q: the share of a group's time, in units of 1/K, that its prices claim. REQUIRES: no product exceeds 2^100.
Int128 claimed_share(const BoundNumbers& numbers, const std::array<Int128, kNumChannels>& products) {
  const Int128 far = products[1] + products[2] + products[3];
  if (numbers.overlap == Overlap::kNone) {
    return std::max(products[0], far);
  }
  const Int128 divisor = kInterferenceUnit + numbers.interference_2_20;
  const Int128 rounded_up = ((products[0] + far) * kInterferenceUnit + divisor - 1) / divisor;
  return std::max(*std::max_element(products.begin(), products.end()), rounded_up);
}

}  // namespace

Result<PriceTotals> check_prices(const Certificate& certificate, const TraceReader& trace) {
  const BoundNumbers& numbers = certificate.numbers;
  KVPLACE_TRY(check_trace(numbers, trace));
  KVPLACE_TRY(check_numbers(numbers, trace.meta()));
  KVPLACE_TRY(check_units(certificate, trace.meta()));
  const Int128 whole = share_unit(certificate);
  if (whole == 0) {
    return rejected("the certificate's ticks_per_second x unit_bytes x batch is 2^100 or more");
  }
  KVPLACE_TRY(check_path_costs(certificate));

  const Int128 layers = layers_per_group(numbers);
  const auto ticks_of = [&](std::int64_t units) {
    return layers * (Int128{units} * certificate.ticks_per_second >> kTimeUnitBits);
  };
  const Int128 overhead = ticks_of(numbers.overhead_units);
  const Int128 floor = ticks_of(numbers.floor_units);
  if (floor >= kMostFloorProduct / whole) {
    return rejected("the certificate's ticks_per_second is so large that the floor of a step may overflow");
  }
  PriceTotals totals;
  for (std::size_t g = 0; g < certificate.channel_prices.size(); ++g) {
    std::array<Int128, kNumChannels> products{};
    Int128 largest = 0;
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      products[c] = Int128{certificate.channel_prices[g][c]} * numbers.bandwidth_bytes_per_second[c];
      largest = std::max(largest, products[c]);
    }
    const Int128 claimed = largest > whole ? largest : claimed_share(numbers, products);
    if (claimed > whole) {
      return rejected("the channel prices of group " + std::to_string(g) + " claim more than the time of a step");
    }
    totals.overhead_ticks += overhead;
    if (floor > 0) {
      totals.floor_ticks.push_back((whole - claimed) * floor / whole);
    }
  }
  Int128 rows = certificate.start_price;
  for (const std::uint64_t price : certificate.row_prices) {
    rows += price;
  }
  const Int128 capacity = capacity_of_request(numbers, certificate.claim);
  totals.capacity_ticks = rows * ((capacity + certificate.unit_bytes - 1) / certificate.unit_bytes);
  return totals;
}

}  // namespace kvplace
