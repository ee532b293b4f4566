// The loops of attention_kernels.h for vectors of KVPLACE_KERNEL_WIDTH floats. Included by one source file per
// instruction set, which defines it and load() of numbers of 16 bits, and is compiled with that set's flags. It
// includes nothing with inline functions: such a function, compiled here, could be linked into code that runs on other
// machines.

namespace kvplace {
namespace {

constexpr std::size_t kParts = kTileTokens / kWidth;
constexpr std::size_t kLine = 64;

/// Into the second cache: the first has too few places for lines on their way, and stalls the computation.
inline void fetch(const std::byte* line) { __builtin_prefetch(line, 0, 2); }

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
    fetch(next + first / kRowsInLine<Element> * kLine);
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
        fetch(next + (column + t) / kRowsInLine<Element> * kLine);
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

template <class Element, std::size_t kRows>
void score_some(const Element* keys, std::size_t dim, const float* queries, std::size_t rows, float* out,
                std::size_t out_stride, const std::byte* next) {
  for (; rows >= kRows; rows -= kRows, queries += kRows * dim, out += kRows * out_stride) {
    score_rows<Element, kRows>(keys, dim, queries, out, out_stride, next);
    next = reinterpret_cast<const std::byte*>(keys);  // what was prefetched once is prefetched
  }
  if constexpr (kRows > 1) {
    score_some<Element, kRows == 8 ? 4 : kRows - 1>(keys, dim, queries, rows, out, out_stride, next);
  }
}

template <class Element, std::size_t kRows>
void value_some(const Element* values, std::size_t dim, std::size_t begin, std::size_t end, const float* weights,
                std::size_t weights_stride, std::size_t rows, float* sums, const std::byte* next) {
  for (; rows >= kRows; rows -= kRows, weights += kRows * weights_stride, sums += kRows * dim) {
    value_rows<Element, kRows>(values, dim, begin, end, weights, weights_stride, sums, next);
    next = reinterpret_cast<const std::byte*>(values);
  }
  if constexpr (kRows > 1) {
    value_some<Element, kRows == 8 ? 4 : kRows - 1>(values, dim, begin, end, weights, weights_stride, rows, sums, next);
  }
}

template <class Element>
void scores(const std::byte* keys, std::size_t dim, const float* queries, std::size_t rows, float* out,
            std::size_t out_stride, const std::byte* next) {
  score_some<Element, kMostRows>(reinterpret_cast<const Element*>(keys), dim, queries, rows, out, out_stride, next);
}

template <class Element>
void values(const std::byte* from, std::size_t dim, std::size_t begin, std::size_t end, const float* weights,
            std::size_t weights_stride, std::size_t rows, float* sums, const std::byte* next) {
  value_some<Element, kMostRows>(reinterpret_cast<const Element*>(from), dim, begin, end, weights, weights_stride, rows,
                                 sums, next);
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
      fetch(next + i + line);
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
