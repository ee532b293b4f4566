/// A random order that is the same everywhere: the standard fixes its engines, but not std::shuffle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <utility>

namespace kvplace {

/// Uniform in [0, bound), without a division but for rare draws (Lemire, *Fast random integer generation in an
/// interval*, 2019). REQUIRES: bound > 0.
[[nodiscard]] inline std::uint32_t draw_below(std::uint32_t bound, std::mt19937& engine) {
  const auto draw = [&] { return std::uint64_t{static_cast<std::uint32_t>(engine())} * bound; };
  std::uint64_t product = draw();
  if (static_cast<std::uint32_t>(product) < bound) {
    const std::uint32_t uneven = (0U - bound) % bound;
    while (static_cast<std::uint32_t>(product) < uneven) {
      product = draw();
    }
  }
  return static_cast<std::uint32_t>(product >> 32);
}

/// Fisher and Yates' shuffle in the order of draws of libstdc++'s std::shuffle, so that its orders stay what they were:
/// of fewer than 2^16 values one draw places two. REQUIRES: fewer than 2^32 values.
template <class T>
void shuffle(std::span<T> values, std::mt19937& engine) {
  constexpr std::uint64_t kMostDraw = 0xffffffff;
  const std::size_t size = values.size();
  const auto place = [&](std::size_t i, std::size_t other) { std::swap(values[i], values[other]); };
  if (size < 2) {
    return;
  }
  std::size_t i = 1;
  if (kMostDraw / size < size) {
    for (; i < size; ++i) {
      place(i, draw_below(static_cast<std::uint32_t>(i + 1), engine));
    }
    return;
  }
  if (size % 2 == 0) {
    place(i, draw_below(2, engine));
    ++i;
  }
  for (; i < size; i += 2) {
    const auto second = static_cast<std::uint32_t>(i + 2);
    const std::uint32_t both = draw_below(static_cast<std::uint32_t>(i + 1) * second, engine);
    place(i, both / second);
    place(i + 1, both % second);
  }
}

}  // namespace kvplace
