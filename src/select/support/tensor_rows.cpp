#include "select/support/tensor_rows.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <string>

namespace kvplace {
namespace {

/// IEEE half precision, subnormal numbers included.
float from_half(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16U;
  const std::uint32_t magnitude = half & 0x7fffU;
  if (magnitude >= 0x7c00U) {  // infinity, NaN
    return std::bit_cast<float>(sign | 0x7f800000U | (magnitude & 0x3ffU) << 13U);
  }
  if (magnitude < 0x400U) {
    constexpr float kSmallest = 1.0F / 16777216;  // 2^-24
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * kSmallest));
  }
  return std::bit_cast<float>(sign | ((magnitude << 13U) + ((127U - 15U) << 23U)));
}

template <class Raw>
Raw read(const void* data, std::ptrdiff_t index) {
  Raw raw;
  std::memcpy(&raw, static_cast<const char*>(data) + index * static_cast<std::ptrdiff_t>(sizeof(Raw)), sizeof raw);
  return raw;
}

template <class Raw, class Convert>
void copy_row(const TensorView& tensor, std::size_t i, std::size_t j, float* out, Convert convert) {
  const std::ptrdiff_t start =
      static_cast<std::ptrdiff_t>(i) * tensor.strides[0] + static_cast<std::ptrdiff_t>(j) * tensor.strides[1];
  for (std::size_t d = 0; d < tensor.shape[2]; ++d) {
    out[d] = convert(read<Raw>(tensor.data, start + static_cast<std::ptrdiff_t>(d) * tensor.strides[2]));
  }
}

bool all_finite(const float* values, std::size_t n) {
  float product = 0;  // 0 * x is 0 for finite x only
  for (std::size_t i = 0; i < n; ++i) {
    product += 0.0F * values[i];
  }
  return product == 0;
}

std::string shape_text(const std::array<std::size_t, 3>& shape) {
  std::string out;
  for (const std::size_t size : shape) {
    out += (out.empty() ? "[" : ", ") + (size == 0 ? std::string("any") : std::to_string(size));
  }
  return out + "]";
}

}  // namespace

Status copy_rows(const TensorView& tensor, const TensorNames& names, std::size_t begin, std::size_t end,
                 std::vector<float>& out) {
  const std::size_t width = tensor.shape[2];
  out.resize(tensor.shape[0] * (end - begin) * width);
  float* to = out.data();
  for (std::size_t i = 0; i < tensor.shape[0]; ++i) {
    for (std::size_t j = begin; j < end; ++j, to += width) {
      switch (tensor.type) {
        case ElementType::kFloat32:
          copy_row<float>(tensor, i, j, to, [](float value) { return value; });
          break;
        case ElementType::kFloat16:
          copy_row<std::uint16_t>(tensor, i, j, to, from_half);
          break;
        case ElementType::kBFloat16:
          copy_row<std::uint16_t>(tensor, i, j, to, [](std::uint16_t value) {
            return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16U);
          });
          break;
      }
      if (!all_finite(to, width)) {
        std::string where(names.what);
        where += ": ";
        if (!names.first.empty()) {
          where += std::string(names.first) + " " + std::to_string(i) + ", ";
        }
        return bad_input(where + std::string(names.second) + " " + std::to_string(j) +
                         " holds a value that is not finite (NaN or infinity)");
      }
    }
  }
  return {};
}

Status check_shape(const TensorView& tensor, std::string_view what, std::string_view dimensions,
                   const std::array<std::size_t, 3>& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (expected[i] != 0 && tensor.shape[i] != expected[i]) {
      return bad_input(std::string(what) + " must have the shape [" + std::string(dimensions) +
                       "] = " + shape_text(expected) + ", not " + shape_text(tensor.shape));
    }
  }
  return {};
}

}  // namespace kvplace
