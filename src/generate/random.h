/// Random numbers of the generators: a stream per layer, and hashes for what all layers share, so that layers can be
/// made in any order.
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <numbers>

namespace kvplace::generate {

/// One step of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a bijection whose outputs pass for random.
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// The hash of several numbers from that of all but the last.
constexpr std::uint64_t hash_more(std::uint64_t hash, std::uint64_t number) { return mix(hash ^ mix(number)); }

/// A hash of several numbers; their order matters.
constexpr std::uint64_t hash_of(std::initializer_list<std::uint64_t> numbers) {
  std::uint64_t hash = 0;
  for (const std::uint64_t number : numbers) {
    hash = hash_more(hash, number);
  }
  return hash;
}

/// Uniform in [0, 1).
constexpr double unit_of(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1.0p-53; }

/// Standard normal, from one hash.
inline double normal_of(std::uint64_t bits) {
  const double radius = std::sqrt(-2 * std::log(1 - unit_of(mix(bits))));
  return radius * std::cos(2 * std::numbers::pi * unit_of(mix(bits ^ 0x5851f42d4c957f2du)));
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    const std::uint64_t out = mix(state_);
    state_ += 0x9e3779b97f4a7c15u;
    return out;
  }
  double unit() { return unit_of(next()); }
  /// Uniform in [0, bound). REQUIRES: bound > 0.
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(((next() >> 32) * std::uint64_t{bound}) >> 32);
  }
  double normal() { return normal_of(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace kvplace::generate
