/// bfloat16 and IEEE half, to and from float.
#pragma once

#include <bit>
#include <cstdint>

namespace kvplace {

constexpr float from_bfloat16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

/// To nearest, ties to even; NaN stays one.
constexpr std::uint16_t to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (value != value) {
    return static_cast<std::uint16_t>((bits >> 16) | 0x40);
  }
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

constexpr float from_float16(std::uint16_t bits) {
  constexpr float kBias = 5.192296858534828e33F;  // 2^112: exponents count from 15, floats' from 127
  const std::uint32_t magnitude = bits & 0x7fffU;
  std::uint32_t wide = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude << 13) * kBias);
  wide = magnitude >= 0x7c00 ? (magnitude << 13 | 0x7f800000U) : wide;  // infinity, NaN
  return std::bit_cast<float>(wide | (bits & 0x8000U) << 16);
}

/// To nearest, ties to even; too large a number becomes infinity, NaN stays one.
constexpr std::uint16_t to_float16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) {
    return static_cast<std::uint16_t>(sign | 0x7e00U);
  }
  if (magnitude >= 0x477ff000U) {  // 65520: it would round to 2^16
    return static_cast<std::uint16_t>(sign | 0x7c00U);
  }
  if (magnitude < 0x38800000U) {  // below 2^-14: adding 0.5 leaves multiples of 2^-24 in the last bits
    const float moved = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(moved) - 0x3f000000U));
  }
  const std::uint32_t rounded = magnitude + 0xfffU + (magnitude >> 13 & 1U) - 0x38000000U;
  return static_cast<std::uint16_t>(sign | rounded >> 13);
}

}  // namespace kvplace
