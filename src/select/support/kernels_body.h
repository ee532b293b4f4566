// The loops of kernels.h for vectors of kWidth floats. Included by one source file per instruction set, which defines
// KVPLACE_KERNEL_WIDTH and is compiled with that set's flags. It includes nothing with inline
// functions: such a function, compiled here, could be linked into code that runs on other machines.
#include <cstddef>

#include "select/support/kernels.h"

namespace kvplace {
namespace {

constexpr std::size_t kWidth = KVPLACE_KERNEL_WIDTH;
constexpr std::size_t kParts = kLanes / kWidth;

using Floats [[gnu::vector_size(kWidth * sizeof(float))]] = float;
using Ints [[gnu::vector_size(kWidth * sizeof(int))]] = int;

inline void load(Floats& to, const float* from) { __builtin_memcpy(&to, from, sizeof to); }
inline void store(float* to, const Floats& from) { __builtin_memcpy(to, &from, sizeof from); }

void dot(const float* packed, std::size_t tiles, std::size_t dim, const float* queries, float* out,
         std::size_t out_stride) {
  for (std::size_t tile = 0; tile < tiles; ++tile) {
    for (std::size_t part = 0; part < kParts; ++part) {
      const float* column = packed + tile * dim * kLanes + part * kWidth;
      Floats sums[kRows] = {};
      for (std::size_t d = 0; d < dim; ++d) {
        Floats value;
        load(value, column + d * kLanes);
        for (std::size_t r = 0; r < kRows; ++r) {
          sums[r] += queries[d * kRows + r] * value;
        }
      }
      for (std::size_t r = 0; r < kRows; ++r) {
        store(out + r * out_stride + tile * kLanes + part * kWidth, sums[r]);
      }
    }
  }
}

float max(const float* row, std::size_t n) {
  Floats most[kParts];
  for (std::size_t part = 0; part < kParts; ++part) {
    load(most[part], row + part * kWidth);
  }
  for (std::size_t i = kLanes; i < n; i += kLanes) {
    for (std::size_t part = 0; part < kParts; ++part) {
      Floats value;
      load(value, row + i + part * kWidth);
      most[part] = value > most[part] ? value : most[part];
    }
  }
  float result = most[0][0];
  for (const Floats& part : most) {
    for (std::size_t lane = 0; lane < kWidth; ++lane) {
      result = part[lane] > result ? part[lane] : result;
    }
  }
  return result;
}

/// exp for x <= 0 by Cephes' expf: x = n ln 2 + r, a polynomial for exp(r), n into the exponent.
inline void exp_in_place(Floats& x) {
  constexpr float kLeast = -87.0F;
  constexpr float kLog2E = 1.44269504088896341F;
  constexpr float kLn2High = 0.693359375F;
  constexpr float kLn2Low = -2.12194440e-4F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer, kept in the lowest bits
  constexpr int kRoundBits = 0x4b400000;
  const Floats zero = {};
  const auto is_tiny = x < kLeast;
  const Floats clamped = is_tiny ? zero + kLeast : x;
  const Floats rounded = clamped * kLog2E + kRound;
  const Floats n = rounded - kRound;
  const Floats r = (clamped - n * kLn2High) - n * kLn2Low;
  Floats y = r * 1.9875691500E-4F + 1.3981999507E-3F;
  y = y * r + 8.3334519073E-3F;
  y = y * r + 4.1665795894E-2F;
  y = y * r + 1.6666665459E-1F;
  y = y * r + 5.0000001201E-1F;
  y = y * (r * r) + r + 1.0F;
  const Ints power = ((Ints)rounded - kRoundBits + 127) << 23;
  x = is_tiny ? zero : y * (Floats)power;
}

float exp_sum(float* row, std::size_t n, float max, float scale) {
  Floats sums[kParts] = {};
  for (std::size_t i = 0; i < n; i += kLanes) {
    for (std::size_t part = 0; part < kParts; ++part) {
      Floats value;
      load(value, row + i + part * kWidth);
      value = (value - max) * scale;
      exp_in_place(value);
      store(row + i + part * kWidth, value);
      sums[part] += value;
    }
  }
  float result = 0;
  for (const Floats& part : sums) {
    for (std::size_t lane = 0; lane < kWidth; ++lane) {
      result += part[lane];
    }
  }
  return result;
}

void add_scaled(float* sum, const float* row, std::size_t n, float factor) {
  for (std::size_t i = 0; i < n; i += kWidth) {
    Floats value;
    Floats total;
    load(value, row + i);
    load(total, sum + i);
    total += factor * value;
    store(sum + i, total);
  }
}

void add_relu(float* sum, const float* row, std::size_t n, float factor) {
  const Floats zero = {};
  for (std::size_t i = 0; i < n; i += kWidth) {
    Floats value;
    Floats total;
    load(value, row + i);
    load(total, sum + i);
    total += factor * (value < zero ? zero : value);  // NaN stays
    store(sum + i, total);
  }
}

}  // namespace

}  // namespace kvplace
