/// A natural logarithm that compilers vectorise.
#pragma once

#include <bit>
#include <cstdint>

namespace kvplace {

/// ln v for normal v > 0, within 1e-4: the exponent, and a polynomial of degree 4 for log2 of the mantissa.
inline float fast_ln(float v) {
  const auto bits = std::bit_cast<std::uint32_t>(v);
  const auto exponent = static_cast<float>(static_cast<std::int32_t>(bits >> 23) - 127);
  const auto m = std::bit_cast<float>((bits & 0x7fffff) | 0x3f800000);
  const float log2_m = -2.49835315F + m * (4.02921139F + m * (-2.07833517F + m * (0.62603218F + m * -0.07844068F)));
  return (exponent + log2_m) * 0.69314718F;
}

}  // namespace kvplace
