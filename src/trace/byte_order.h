/// Fixed-size integers in little-endian byte order, whatever the machine's.
#pragma once

#include <bit>
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace kvplace {

template <class T>
constexpr T swap_unless_little_endian(T value) {
  static_assert(std::is_integral_v<T>);
  if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1) {
    return value;
  } else {
    auto bits = static_cast<std::make_unsigned_t<T>>(value);
    std::make_unsigned_t<T> swapped = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      swapped = static_cast<std::make_unsigned_t<T>>(swapped << 8 | (bits & 0xff));
      bits = static_cast<std::make_unsigned_t<T>>(bits >> 8);
    }
    return static_cast<T>(swapped);
  }
}

template <class T>
void store_little_endian(void* to, T value) {
  value = swap_unless_little_endian(value);
  std::memcpy(to, &value, sizeof value);
}

template <class T>
[[nodiscard]] T load_little_endian(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return swap_unless_little_endian(value);
}

}  // namespace kvplace
