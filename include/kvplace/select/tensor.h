/// Arrays of numbers that somebody else owns, as selection takes them in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace kvplace {

enum class ElementType : std::uint8_t { kFloat32, kFloat16, kBFloat16 };

/// A strided array of three dimensions, not owned. Strides count elements and may be negative or 0.
struct TensorView {
  const void* data = nullptr;
  ElementType type = ElementType::kFloat32;
  std::array<std::size_t, 3> shape{};
  std::array<std::ptrdiff_t, 3> strides{};

  [[nodiscard]] bool empty() const { return data == nullptr; }

  /// `values` of contiguous float32 [a, b, c].
  [[nodiscard]] static TensorView of(const float* values, std::size_t a, std::size_t b, std::size_t c) {
    return {values,
            ElementType::kFloat32,
            {a, b, c},
            {static_cast<std::ptrdiff_t>(b * c), static_cast<std::ptrdiff_t>(c), 1}};
  }
};

}  // namespace kvplace
