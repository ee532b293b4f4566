/// Random numbers that are the same everywhere: the standard's engine, but not its distributions, which differ between
/// libraries.
#pragma once

#include <cstdint>
#include <random>

namespace kvplace {

class RandomNumber {
 public:
  explicit RandomNumber(std::uint64_t seed) : engine_(seed) {}

  /// Uniform in [0, 1).
  double unit() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }
  /// Uniform in [0, bound). REQUIRES: bound > 0.
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(((engine_() >> 32) * std::uint64_t{bound}) >> 32);
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace kvplace
