#include "solve/gaps/gap_value.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <numeric>

#include "base/parallel.h"

namespace kvplace {
namespace {

constexpr double kNever = 1e200;  // the cost of what cannot be done
constexpr std::size_t kBatch = 512;

/// Classes side by side. All arrays have `count` elements and go on for kGapPadding more, which have no bytes.
struct GapBatch {
  std::size_t count = 0;
  const float* bytes = nullptr;
  const double* begin = nullptr;    ///< M where the gap begins: prefix sum of row prices
  const double* end = nullptr;      ///< M where it ends
  const double* miss = nullptr;     ///< cost of a far read at its end
  const double* fetch_a = nullptr;  ///< least active promotion less M at it, over the gap's first windows
  const double* fetch_b = nullptr;  ///< and over its last
};

/// Sum of bytes * min(hold, fetch, miss): in kGapPadding lanes, which compilers turn into vectors.
double value_of(const GapBatch& batch) {
  std::array<double, kGapPadding> lanes{};
  for (std::size_t i = 0; i < batch.count; i += kGapPadding) {
    for (std::size_t lane = 0; lane < kGapPadding; ++lane) {
      const std::size_t at = i + lane;
      const double hold = batch.end[at] - batch.begin[at];
      const double fetch = batch.end[at] + std::min(batch.fetch_a[at], batch.fetch_b[at]);
      lanes[lane] += batch.bytes[at] * std::min(std::min(hold, batch.miss[at]), fetch);
    }
  }
  return std::accumulate(lanes.begin(), lanes.end(), 0.0);
}

/// The greatest power of two up to `length`, by its exponent. REQUIRES: length > 0.
std::uint32_t level_of(std::uint32_t length) { return static_cast<std::uint32_t>(std::bit_width(length | 1U)) - 1; }

}  // namespace

/// What one layer's evaluation needs. Window w of a layer are the steps from its step w - 1 to just before its step w.
struct GapValue::Scratch {
  explicit Scratch(std::uint32_t steps)
      : levels(level_of(steps) + 1),
        stride(std::size_t{steps} + kGapPadding),
        occupied(stride),
        miss(stride),
        prefix(stride),
        never(stride, kNever),
        least(levels * stride) {}

  [[nodiscard]] double* row(std::uint32_t level) { return least.data() + level * stride; }

  std::uint32_t levels;
  std::size_t stride;
  std::vector<double> occupied;  // M at the layer's steps
  std::vector<double> miss;
  std::vector<double> prefix;  // least over windows 0 to w
  std::vector<double> never;
  std::vector<double> least;  // [level][w]: least over windows w to w + 2^level - 1
};

GapValue::GapValue(const GapClasses& classes, unsigned threads)
    : classes_(classes),
      threads_(threads),
      window_(std::size_t{classes.steps} * classes.layers),
      before_first_(classes.layers) {}

double GapValue::operator()(const GapPrices& prices) {
  find_windows(prices);
  const std::uint32_t layers = classes_.layers;
  std::vector<double> values(layers);
  std::atomic<std::uint32_t> next{0};
  const std::size_t workers = std::min<std::size_t>(num_threads(threads_), layers);
  (void)run_parallel(workers, threads_, [&](std::size_t) -> Status {
    Scratch scratch(classes_.steps);
    for (std::uint32_t layer = next++; layer < layers; layer = next++) {
      values[layer] = of_layer(layer, prices, scratch);
    }
    return {};
  });
  return std::accumulate(values.begin(), values.end(), 0.0);
}

void GapValue::find_windows(const GapPrices& prices) {
  // The least of `layers` consecutive costs from k on: the suffix of k's decode step and a prefix of the next one.
  const std::size_t num_steps = window_.size();
  const std::uint32_t layers = std::max(1U, classes_.layers);
  const auto cost = [&](std::size_t k) { return prices.active[k] - prices.occupied[k + 1]; };
  std::vector<double> prefix(num_steps);
  for (std::size_t k = 0; k < num_steps; ++k) {
    prefix[k] = k % layers == 0 ? cost(k) : std::min(prefix[k - 1], cost(k));
  }
  for (std::size_t k = num_steps; k-- > 0;) {
    window_[k] = k % layers == layers - 1 ? cost(k) : std::min(window_[k + 1], cost(k));
  }
  for (std::size_t k = 0; k + layers <= num_steps; ++k) {
    if (k % layers != 0) {
      window_[k] = std::min(window_[k], prefix[k + layers - 1]);
    }
  }
  for (std::uint32_t layer = 0; layer < layers; ++layer) {
    before_first_[layer] = layer == 0 ? kNever : prefix[layer - 1];
  }
}

double GapValue::of_layer(std::uint32_t layer, const GapPrices& prices, Scratch& scratch) const {
  const std::uint32_t steps = classes_.steps;
  const std::uint32_t layers = classes_.layers;
  const LayerGaps& gaps = classes_.by_layer[layer];
  double* const windows = scratch.row(0);
  for (std::uint32_t step = 0; step < steps; ++step) {
    const std::size_t k = std::size_t{step} * layers + layer;
    scratch.occupied[step] = prices.occupied[k + 1];
    scratch.miss[step] = prices.miss[k];
    windows[step] = step == 0 ? before_first_[layer] : window_[k - layers];
    scratch.prefix[step] = step == 0 ? windows[0] : std::min(scratch.prefix[step - 1], windows[step]);
  }
  for (std::uint32_t level = 1; level < scratch.levels; ++level) {
    const double* const below = scratch.row(level - 1);
    double* const row = scratch.row(level);
    const std::uint32_t half = 1U << (level - 1);
    for (std::uint32_t w = 0; w + 2 * half <= steps; ++w) {
      row[w] = std::min(below[w], below[w + half]);
    }
  }
  double value = of_sparse(gaps, scratch) + of_start(gaps, prices, scratch);
  for (const DenseGaps& dense : gaps.dense) {
    const std::uint32_t level = level_of(dense.length);
    value += value_of({steps - dense.length, dense.bytes.data(), scratch.occupied.data(),
                       scratch.occupied.data() + dense.length, scratch.miss.data() + dense.length,
                       scratch.row(level) + 1, scratch.row(level) + 1 + dense.length - (1U << level)});
  }
  return value;
}

double GapValue::of_sparse(const LayerGaps& gaps, const Scratch& scratch) const {
  using Column = std::array<double, kBatch + kGapPadding>;
  Column begin{};
  Column end{};
  Column miss{};
  Column fetch_a{};
  Column fetch_b{};
  std::size_t first = 0;
  std::size_t filled = 0;
  double value = 0;
  std::array<float, kBatch + kGapPadding> bytes{};
  const auto flush = [&] {
    std::copy_n(gaps.bytes.data() + first, filled, bytes.data());
    std::fill_n(bytes.data() + filled, kGapPadding, 0.0F);
    value += value_of({filled, bytes.data(), begin.data(), end.data(), miss.data(), fetch_a.data(), fetch_b.data()});
    first += filled;
    filled = 0;
  };
  for (const SparseGaps& sparse : gaps.sparse) {
    const std::uint32_t level = level_of(sparse.length);
    const double* const least = scratch.least.data() + level * scratch.stride;
    for (std::size_t i = sparse.first; i < sparse.first + sparse.count; ++i) {
      const std::uint32_t from = gaps.begin[i];
      const std::uint32_t to = from + sparse.length;
      begin[filled] = scratch.occupied[from];
      end[filled] = scratch.occupied[to];
      miss[filled] = scratch.miss[to];
      fetch_a[filled] = least[from + 1];
      fetch_b[filled] = least[to + 1 - (1U << level)];
      if (++filled == kBatch) {
        flush();
      }
    }
  }
  flush();
  return value;
}

double GapValue::of_start(const LayerGaps& gaps, const GapPrices& prices, const Scratch& scratch) const {
  double value = 0;
  const auto add = [&](const std::vector<float>& bytes, double occupied_at_start) {
    const std::vector<double> begin(scratch.stride, occupied_at_start);
    value += value_of({classes_.steps, bytes.data(), begin.data(), scratch.occupied.data(), scratch.miss.data(),
                       scratch.prefix.data(), scratch.never.data()});
  };
  add(gaps.start_near, prices.occupied[1]);
  add(gaps.start_far, -kNever);
  add(gaps.start_free, prices.occupied[0]);
  return value;
}

}  // namespace kvplace
