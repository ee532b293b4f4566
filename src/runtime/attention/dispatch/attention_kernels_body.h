// The loops of attention_kernels.h for vectors of KVPLACE_KERNEL_WIDTH floats. Included by one source file per
// instruction set, which defines it and load() of numbers of 16 bits, and is compiled with that set's flags. It
// includes nothing with inline functions: such a function, compiled here, could be linked into code that runs on other
// machines.

namespace kvplace {
namespace {

constexpr std::size_t kParts = kTileTokens / kWidth;
constexpr std::size_t kLine = 64;

inline void load(Floats& to, const float* from) { __builtin_memcpy(&to, from, sizeof to); }
inline void store(float* to, const Floats& from) { __builtin_memcpy(to, &from, sizeof from); }

/// Rows of 16 numbers in a cache line.
template <class Element>
constexpr std::size_t kRowsInLine = kLine / (kTileTokens * sizeof(Element));

template <class Element, std::size_t kRows>
void score_rows(const Element* keys, std::size_t dim, const float* queries, float* out, std::size_t out_stride,
                const std::byte* next) {
  Floats sums[kRows][kParts] = {};
  for (std::size_t first = 0; first < dim; first += kRowsInLine<Element>) {
    __builtin_prefetch(next + first / kRowsInLine<Element> * kLine);
    for (std::size_t d = first; d < first + kRowsInLine<Element>; ++d) {
      Floats key[kParts];
      for (std::size_t part = 0; part < kParts; ++part) {
        load(key[part], keys + d * kTileTokens + part * kWidth);
      }
      for (std::size_t r = 0; r < kRows; ++r) {
        const float query = queries[r * dim + d];
        for (std::size_t part = 0; part < kParts; ++part) {
          sums[r][part] += query * key[part];
        }
      }
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t part = 0; part < kParts; ++part) {
      store(out + r * out_stride + part * kWidth, sums[r][part]);
    }
  }
}

template <class Element, std::size_t kRows>
void value_rows(const Element* values, std::size_t dim, std::size_t begin, std::size_t end, const float* weights,
                std::size_t weights_stride, float* sums, const std::byte* next) {
  for (std::size_t column = 0; column < dim; column += kTileTokens) {
    Floats total[kRows][kParts];
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t part = 0; part < kParts; ++part) {
        load(total[r][part], sums + r * dim + column + part * kWidth);
      }
    }
    for (std::size_t t = begin; t < end; ++t) {
      if (t % kRowsInLine<Element> == 0) {  // in the order in which the next tile is read
        __builtin_prefetch(next + (column + t) / kRowsInLine<Element> * kLine);
      }
      Floats value[kParts];
      for (std::size_t part = 0; part < kParts; ++part) {
        load(value[part], values + t * dim + column + part * kWidth);
      }
      for (std::size_t r = 0; r < kRows; ++r) {
        const float weight = weights[r * weights_stride + t];
        for (std::size_t part = 0; part < kParts; ++part) {
          total[r][part] += weight * value[part];
        }
      }
    }
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t part = 0; part < kParts; ++part) {
        store(sums + r * dim + column + part * kWidth, total[r][part]);
      }
    }
  }
}

template <class Element>
void scores(const std::byte* keys, std::size_t dim, const float* queries, std::size_t rows, float* out,
            std::size_t out_stride, const std::byte* next) {
  const auto* const elements = reinterpret_cast<const Element*>(keys);
  std::size_t r = 0;
  for (; r + 4 <= rows; r += 4, next = keys) {  // what was prefetched once is prefetched
    score_rows<Element, 4>(elements, dim, queries + r * dim, out + r * out_stride, out_stride, next);
  }
  if (rows - r == 3) {
    score_rows<Element, 3>(elements, dim, queries + r * dim, out + r * out_stride, out_stride, next);
  } else if (rows - r == 2) {
    score_rows<Element, 2>(elements, dim, queries + r * dim, out + r * out_stride, out_stride, next);
  } else if (rows - r == 1) {
    score_rows<Element, 1>(elements, dim, queries + r * dim, out + r * out_stride, out_stride, next);
  }
}

template <class Element>
void values(const std::byte* from, std::size_t dim, std::size_t begin, std::size_t end, const float* weights,
            std::size_t weights_stride, std::size_t rows, float* sums, const std::byte* next) {
  const auto* const elements = reinterpret_cast<const Element*>(from);
  std::size_t r = 0;
  for (; r + 4 <= rows; r += 4, next = from) {
    value_rows<Element, 4>(elements, dim, begin, end, weights + r * weights_stride, weights_stride, sums + r * dim,
                           next);
  }
  if (rows - r == 3) {
    value_rows<Element, 3>(elements, dim, begin, end, weights + r * weights_stride, weights_stride, sums + r * dim,
                           next);
  } else if (rows - r == 2) {
    value_rows<Element, 2>(elements, dim, begin, end, weights + r * weights_stride, weights_stride, sums + r * dim,
                           next);
  } else if (rows - r == 1) {
    value_rows<Element, 1>(elements, dim, begin, end, weights + r * weights_stride, weights_stride, sums + r * dim,
                           next);
  }
}

std::uint64_t read(const std::byte* data, std::size_t bytes, const std::byte* next) {
  constexpr std::size_t kAtOnce = 4 * kLine;
  constexpr std::size_t kVectors = kAtOnce / sizeof(Ints);
  Ints sums[kVectors] = {};
  for (std::size_t i = 0; i < bytes; i += kAtOnce) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      Ints value;
      __builtin_memcpy(&value, data + i + v * sizeof(Ints), sizeof value);
      sums[v] += value;
    }
    for (std::size_t line = 0; line < kAtOnce; line += kLine) {
      __builtin_prefetch(next + i + line);
    }
  }
  std::uint64_t sum = 0;
  for (const Ints& part : sums) {
    for (std::size_t lane = 0; lane < kWidth; ++lane) {
      sum += part[lane];
    }
  }
  return sum;
}

}  // namespace
}  // namespace kvplace
