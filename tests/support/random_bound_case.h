/// Random instances with every feature of the formulation, and certificates with random valid prices for them.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>

#include "kvplace/bound/certificate.h"
#include "kvplace/instance/instance.h"
#include "support/paper_machine.h"
#include "support/random_trace.h"

namespace kvplace::testing {

class RandomCase {
 public:
  explicit RandomCase(std::uint64_t seed) : random_(seed) {}

  std::uint32_t below(std::uint64_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  bool chance(double share) { return uniform() < share; }
  double uniform() { return std::uniform_real_distribution<double>(0, 1)(random_); }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return *(values.begin() + below(values.size()));
  }

  RandomTraceShape shape(std::uint32_t most_steps, std::uint32_t most_prompt) {
    RandomTraceShape shape;
    shape.seed = random_();
    shape.layers = 1 + below(3);
    shape.steps = 1 + below(most_steps);
    shape.block_tokens = one_of({1u, 1u, 3u, 16u});
    shape.prompt_tokens = below(most_prompt + 1) * shape.block_tokens;
    shape.requests = one_of({1u, 1u, 2u});
    shape.experts = one_of({0u, 0u, 0u, 3u});
    shape.reads = 1 + below(10);
    shape.read_bytes = chance(0.3);
    return shape;
  }

  InstanceSpec spec(const RandomTraceShape& shape) {
    InstanceSpec spec;
    Hardware& hardware = spec.hardware;
    hardware = paper_machine();
    const auto rate = [&] { return BytesPerSecond(std::floor(1e9 * std::pow(50, uniform())) + one_of({0.0, 0.3})); };
    hardware.near.bandwidth.spec = BytesPerSecond(rate().value() * one_of({1.0, 8.0}));
    hardware.far.bandwidth.spec = rate();
    hardware.far.link_read.spec = rate();
    hardware.far.link_write.spec = rate();
    hardware.interference = one_of({0.0, 0.0, 0.25, 0.9});
    hardware.step_overhead = Seconds(one_of({0.0, 0.0, 1e-7}));
    Model model;
    model.name = "random";
    model.layers = shape.layers;
    model.kv_bytes_per_token_per_layer = Bytes(one_of({std::int64_t{1000}, std::int64_t{768}, std::int64_t{7}}));
    if (chance(0.3)) {
      hardware.peak_flops = FlopsPerSecond(1e12);
      model.flops_per_layer_per_step = Flops(1e5 * uniform());
    }
    if (shape.experts > 0) {
      model.experts = {shape.experts, 1, model.kv_bytes_per_token_per_layer * std::int64_t{1 + below(5)}};
    }
    spec.model = model;
    InstanceOptions& options = spec.options;
    options.near_blocks_per_layer = one_of({0u, 1u, 2u, 3u, 5u, 9u, 1000u});
    options.mode = one_of({Mode::kInclusive, Mode::kExclusive});
    options.barrier = one_of({Barrier::kLayer, Barrier::kToken});
    options.overlap = one_of({Overlap::kFull, Overlap::kFull, Overlap::kNone});
    options.start = one_of({Start::kRecent, Start::kEmpty, Start::kFree});
    if (options.mode == Mode::kInclusive) {
      options.mirrored_reads = one_of({MirroredReads::kNear, MirroredReads::kSplit});
    }
    options.batch = shape.experts > 0 ? 1 : one_of({1u, 1u, 3u, 64u});
    options.weight_bytes_per_step = Bytes(one_of({0, 0, 3000, 100000}));
    options.weights_near = one_of({1.0, 0.5, 0.0});
    options.new_kv = chance(0.8);
    options.seed = below(3);
    return spec;
  }

  /// Channel prices that claim at most the whole of each group's time, often exactly it; row prices of random size.
  Certificate certificate(const BoundNumbers& numbers, const TraceMeta& meta) {
    Certificate c;
    c.numbers = numbers;
    c.made_by = "random";
    std::int64_t unit = std::gcd(numbers.kv_block_bytes, numbers.expert_block_bytes);
    unit = numbers.mode == Mode::kExclusive ? std::gcd(unit, numbers.new_kv_bytes) : unit;
    c.unit_bytes = meta.has_read_bytes || chance(0.2) ? 1 : unit;
    c.ticks_per_second = (std::uint64_t{1} << (30 + below(16))) + below(1000);
    const double whole = static_cast<double>(c.ticks_per_second) * static_cast<double>(c.unit_bytes) *
                         static_cast<double>(numbers.batch);
    c.channel_prices.resize(num_groups(numbers));
    std::array<double, kNumChannels> kept = weights();
    const double keep = uniform();
    for (auto& prices : c.channel_prices) {
      if (!chance(keep)) {
        kept = weights();
      }
      prices = channel_prices(numbers, whole, kept, chance(0.7) ? 1 : uniform());
    }
    c.row_prices.resize(std::size_t{numbers.steps} * numbers.layers);
    const double dear = chance(0.1) ? 0 : std::pow(10, -4 * uniform());
    const double often = uniform();
    for (std::uint64_t& price : c.row_prices) {
      price = chance(often) ? row_price(c, dear) : 0;
    }
    c.start_price = numbers.start == Start::kFree && chance(0.5) ? row_price(c, dear) : 0;
    return c;
  }

  /// A price or the prices of one group changed at random; valid if they were.
  void mutate(Certificate& c) {
    const double whole = static_cast<double>(c.ticks_per_second) * static_cast<double>(c.unit_bytes) *
                         static_cast<double>(c.numbers.batch);
    if (chance(0.5)) {
      c.channel_prices[below(c.channel_prices.size())] = channel_prices(c.numbers, whole, weights(), 1);
    } else if (c.numbers.start == Start::kFree && chance(0.1)) {
      c.start_price = row_price(c, uniform());
    } else {
      std::uint64_t& price = c.row_prices[below(c.row_prices.size())];
      price = chance(0.3) ? 0 : row_price(c, 0.3 * uniform());
    }
  }

 private:
  std::array<double, kNumChannels> weights() {
    std::array<double, kNumChannels> w{};
    for (double& weight : w) {
      weight = chance(0.4) ? 0 : uniform();
    }
    if (chance(0.4)) {
      w = {};
      w[below(kNumChannels)] = 1;
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
    const auto& some = c.channel_prices[below(c.channel_prices.size())];
    return static_cast<std::uint64_t>(dear * uniform() * static_cast<double>(some[0] + some[1] + some[3]));
  }

  std::mt19937_64 random_;
};

}  // namespace kvplace::testing
