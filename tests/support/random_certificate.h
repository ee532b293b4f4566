/// Certificates with random valid prices.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>

#include "kvplace/bound/certificate.h"
#include "kvplace/trace/reader.h"
#include "support/random_case.h"
#include "support/temp_dir.h"

namespace kvplace::testing {

class RandomPrices {
 public:
  explicit RandomPrices(RandomCase& random) : random_(random) {}

  /// Channel prices that claim at most the whole of each group's time, often exactly it; row prices of random size.
  Certificate certificate(const BoundNumbers& numbers, const TraceMeta& meta) {
    Certificate c;
    c.claim = random_.chance(0.5) ? Claim::kAny : Claim::kStep;
    c.numbers = numbers;
    c.made_by = "random";
    std::int64_t unit = common_block(numbers);
    for (const std::int64_t bytes : numbers.new_kv_bytes) {
      unit = numbers.mode == Mode::kExclusive ? std::gcd(unit, bytes) : unit;
    }
    c.unit_bytes = meta.has_read_bytes || random_.chance(0.2) ? 1 : unit;
    c.ticks_per_second = (std::uint64_t{1} << (30 + random_.below(16))) + random_.below(1000);
    const double whole = static_cast<double>(c.ticks_per_second) * static_cast<double>(c.unit_bytes) *
                         static_cast<double>(numbers.batch);
    c.channel_prices.resize(num_groups(numbers));
    std::array<double, kNumChannels> kept = weights();
    const double keep = random_.uniform();
    for (auto& prices : c.channel_prices) {
      if (!random_.chance(keep)) {
        kept = weights();
      }
      prices = channel_prices(numbers, whole, kept, random_.chance(0.7) ? 1 : random_.uniform());
    }
    c.row_prices.resize(std::size_t{numbers.steps} * numbers.layers);
    const double dear = random_.chance(0.1) ? 0 : std::pow(10, -4 * random_.uniform());
    const double often = random_.uniform();
    for (std::uint64_t& price : c.row_prices) {
      price = random_.chance(often) ? row_price(c, dear) : 0;
    }
    c.start_price = numbers.start == Start::kFree && random_.chance(0.5) ? row_price(c, dear) : 0;
    return c;
  }

  /// Layers that are not alike, as no instance has them yet, and a near capacity that requests do not divide evenly.
  BoundNumbers varied(BoundNumbers numbers) {
    const std::int64_t block = numbers.kv_block_bytes.front();
    const std::int64_t piece = common_block(numbers);
    if (random_.chance(0.5)) {
      numbers.kv_block_bytes.clear();
      numbers.new_kv_bytes.clear();
      for (std::uint32_t layer = 0; layer < numbers.layers; ++layer) {
        numbers.kv_block_bytes.push_back(block * (1 + random_.below(3)));
        numbers.new_kv_bytes.push_back(random_.below(2) * block);
      }
    }
    if (random_.chance(0.5)) {
      numbers.fixed_bytes.resize(numbers.layers);
      for (auto& by_channel : numbers.fixed_bytes) {
        for (FixedBytes& fixed : by_channel) {
          fixed = {random_.below(3) * 1000, random_.below(2) * 7};
        }
      }
    }
    numbers.capacity_bytes += static_cast<std::int64_t>(random_.below(static_cast<std::size_t>(3 * piece)));
    return numbers;
  }

  /// A price or the prices of one group changed at random; valid if they were.
  void mutate(Certificate& c) {
    const double whole = static_cast<double>(c.ticks_per_second) * static_cast<double>(c.unit_bytes) *
                         static_cast<double>(c.numbers.batch);
    if (random_.chance(0.5)) {
      c.channel_prices[random_.below(c.channel_prices.size())] = channel_prices(c.numbers, whole, weights(), 1);
    } else if (c.numbers.start == Start::kFree && random_.chance(0.1)) {
      c.start_price = row_price(c, random_.uniform());
    } else {
      std::uint64_t& price = c.row_prices[random_.below(c.row_prices.size())];
      price = random_.chance(0.3) ? 0 : row_price(c, 0.3 * random_.uniform());
    }
  }

 private:
  std::array<double, kNumChannels> weights() {
    std::array<double, kNumChannels> w{};
    for (double& weight : w) {
      weight = random_.chance(0.4) ? 0 : random_.uniform();
    }
    if (random_.chance(0.4)) {
      w = {};
      w[random_.below(kNumChannels)] = 1;
    }
    return w;
  }

  static std::array<std::uint64_t, kNumChannels> channel_prices(const BoundNumbers& n, double whole,
                                                                const std::array<double, kNumChannels>& w,
                                                                double share) {
    const double far = w[1] + w[2] + w[3];
    const double interference = std::ldexp(n.interference_2_20, -20);
    const double claimed = n.overlap == Overlap::kNone
                               ? std::max(w[0], far)
                               : std::max(*std::max_element(w.begin(), w.end()), (w[0] + far) / (1 + interference));
    std::array<std::uint64_t, kNumChannels> prices{};
    for (std::size_t c = 0; c < kNumChannels && claimed > 0; ++c) {
      const double price = share * w[c] / claimed * whole / static_cast<double>(n.bandwidth_bytes_per_second[c]);
      prices[c] = static_cast<std::uint64_t>(price * (1 - 1e-9));
    }
    return prices;
  }

  std::uint64_t row_price(const Certificate& c, double dear) {
    const auto& some = c.channel_prices[random_.below(c.channel_prices.size())];
    return static_cast<std::uint64_t>(dear * random_.uniform() * static_cast<double>(some[0] + some[1] + some[3]));
  }

  RandomCase& random_;
};

/// Of so many steps and pages of prompt at most, for arithmetic that is exact.
inline RandomCase exact_case(std::uint64_t seed, std::uint32_t steps, std::uint32_t prompt) {
  CaseLimits most;
  most.steps = steps;
  most.prompt_tokens = prompt;
  most.wide = true;
  most.unlike = true;
  return RandomCase(seed, most);
}

/// A random trace in a folder, an instance for it and a certificate.
struct CertificateCase {
  CertificateCase(RandomCase& random, const TempDir& folder) : CertificateCase(random, folder, random.shape()) {}
  CertificateCase(RandomCase& random, const TempDir& folder, const RandomTraceShape& the_shape)
      : shape(the_shape),
        path(write_random_trace(folder.path("t.kvt"), shape)),
        trace(TraceReader::open(path).value()),
        spec(random.spec(shape)),
        instance(Instance::make(spec, trace.meta(), trace.totals()).value()),
        certificate(RandomPrices(random).certificate(bound_numbers(instance, trace).value(), trace.meta())) {}

  /// Of numbers that no instance has.
  void vary(RandomCase& random) {
    RandomPrices prices(random);
    certificate = prices.certificate(prices.varied(certificate.numbers), trace.meta());
  }

  RandomTraceShape shape;
  std::string path;
  TraceReader trace;
  InstanceSpec spec;
  Instance instance;
  Certificate certificate;
};

}  // namespace kvplace::testing
