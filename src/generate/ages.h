/// Ages in decode steps, in classes of half an octave up to 16 and of an octave from there: 1, 2, 3, 4-5, 6-7, 8-11,
/// 12-15, 16-31, 32-63, ... Each class that a block comes through costs time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace kvplace::generate {

inline constexpr std::size_t kNumAges = 17;

/// The least age of each class; the last class has no end.
inline constexpr std::array<std::uint32_t, kNumAges> kLeastAge = [] {
  std::array<std::uint32_t, kNumAges> least{1, 2, 3};
  for (std::size_t i = 3; i < kNumAges; ++i) {
    least[i] = least[i - 1] < 16 ? 2 * least[i - 2] : 2 * least[i - 1];
  }
  return least;
}();

/// REQUIRES: age >= 1.
constexpr std::size_t age_class(std::uint32_t age) {
  std::size_t i = 0;
  while (i + 1 < kNumAges && kLeastAge[i + 1] <= age) {
    ++i;
  }
  return i;
}

}  // namespace kvplace::generate
