#include "generate/locality.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>

#include "trace/stack_distance.h"

namespace kvplace::generate {
namespace {

/// Blocks by the step of their next read, from which the farthest is taken; entries may be outdated.
class Farthest {
 public:
  explicit Farthest(std::uint32_t steps) : buckets_(steps + 1), used_(steps / 64 + 1) {}

  void add(std::uint32_t block, std::uint32_t next) {
    buckets_[next].push_back(block);
    used_[next / 64] |= std::uint64_t{1} << (next % 64);
  }
  /// Forgets the entries of a step that is over.
  void drop(std::uint32_t step) {
    std::vector<std::uint32_t>().swap(buckets_[step]);
    used_[step / 64] &= ~(std::uint64_t{1} << (step % 64));
  }
  /// Takes an entry of the farthest step; REQUIRES: there is one.
  std::pair<std::uint32_t, std::uint32_t> take() {
    std::size_t word = used_.size() - 1;
    while (used_[word] == 0) {
      --word;
    }
    const auto next =
        static_cast<std::uint32_t>(64 * word + 63 - static_cast<std::size_t>(std::countl_zero(used_[word])));
    const std::uint32_t block = buckets_[next].back();
    buckets_[next].pop_back();
    if (buckets_[next].empty()) {
      used_[word] &= ~(std::uint64_t{1} << (next % 64));
    }
    return {block, next};
  }

 private:
  std::vector<std::vector<std::uint32_t>> buckets_;
  std::vector<std::uint64_t> used_;
};

/// Misses of Belady's choice with bypass: after each step stay the `capacity` blocks that are read again soonest.
double belady_misses(const LayerReads& reads, std::size_t capacity) {
  const std::uint32_t steps = reads.num_steps();
  const std::uint32_t never = steps;
  std::vector<std::uint32_t> next_of_read(reads.ids.size());
  std::vector<std::uint32_t> next(reads.num_blocks(steps - 1), never);
  for (std::uint32_t t = steps; t-- > 0;) {
    for (std::size_t i = reads.ends[t]; i < reads.ends[t + 1]; ++i) {
      next_of_read[i] = next[reads.ids[i].value()];
      next[reads.ids[i].value()] = t;
    }
  }
  Farthest order(steps);
  std::vector<bool> is_near(next.size(), false);
  std::size_t num_near = 0;
  double misses = 0;
  for (std::uint32_t t = 0; t < steps; ++t) {
    for (std::size_t i = reads.ends[t]; i < reads.ends[t + 1]; ++i) {
      const std::uint32_t b = reads.ids[i].value();
      if (!is_near[b]) {
        const bool newborn = reads.range.block_tokens > 0 && b == reads.newest(t);
        misses += newborn ? 0 : 1;
        is_near[b] = true;
        ++num_near;
      }
      next[b] = next_of_read[i];
      order.add(b, next[b]);
    }
    order.drop(t);
    while (num_near > capacity) {
      const auto [b, step] = order.take();
      if (is_near[b] && next[b] == step) {
        is_near[b] = false;
        --num_near;
      }
    }
  }
  return misses;
}

/// By multiple of `places`.
std::vector<double> miss_ratios(const RecencyList& recency, double places, double reads) {
  std::vector<double> ratios;
  for (const double multiple : kLruMultiples) {
    const auto capacity = static_cast<std::uint64_t>(std::llround(multiple * places));
    ratios.push_back(static_cast<double>(recency.distances().misses(capacity)) / std::max(1.0, reads));
  }
  return ratios;
}

std::span<const BlockId> appended(const LayerReads& reads, std::uint32_t t, BlockId& newest) {
  if (reads.range.block_tokens == 0) {
    return {};
  }
  newest = BlockId(reads.newest(t));
  return {&newest, 1};
}

}  // namespace

std::vector<double> measure_lru(const LayerReads& reads, double k) {
  RecencyList recency(reads.num_blocks(reads.num_steps() - 1));
  for (std::uint32_t t = 0; t < reads.num_steps(); ++t) {
    BlockId newest;
    recency.touch(reads.step(t), appended(reads, t, newest));
  }
  return miss_ratios(recency, k, static_cast<double>(reads.ids.size()));
}

LayerLocality measure(const LayerReads& reads, double k) {
  LayerLocality found;
  found.reads = static_cast<double>(reads.ids.size());
  const std::uint32_t steps = reads.num_steps();
  std::vector<std::uint32_t> last(reads.num_blocks(steps - 1), kNeverRead);
  double overlaps = 0;
  for (std::uint32_t t = 0; t < steps; ++t) {
    const std::span<const BlockId> now = reads.step(t);
    double kept = 0;
    for (const BlockId id : now) {
      std::uint32_t& before = last[id.value()];
      if (before != kNeverRead) {
        const std::uint32_t gap = t - before;
        kept += gap == 1 ? 1 : 0;
        const auto octave = static_cast<std::size_t>(std::bit_width(gap)) - 1;
        found.reuse.resize(std::max(found.reuse.size(), octave + 1));
        found.reuse[octave] += 1 / found.reads;
      }
      before = t;
    }
    overlaps += t > 0 && !now.empty() ? kept / static_cast<double>(now.size()) : 0;
  }
  found.overlap = steps > 1 ? overlaps / (steps - 1) : 0;
  found.lru = measure_lru(reads, k);
  found.belady = belady_misses(reads, static_cast<std::size_t>(std::llround(2 * k))) / std::max(1.0, found.reads);
  return found;
}

double measure_across_layers(const std::vector<LayerReads>& layers) {
  constexpr std::uint32_t kSteps = 32;
  const std::uint32_t steps = layers.front().num_steps();
  double shared = 0;
  double reads = 0;
  std::vector<BlockId> both;
  // The first half of a trace is left out as far as possible: layers may start alike.
  for (std::uint32_t t = steps / 2; t < steps; t += std::max(1u, steps / 2 / kSteps)) {
    for (std::size_t layer = 0; layer < layers.size(); ++layer) {
      const std::span<const BlockId> here = layers[layer].step(t);
      const std::span<const BlockId> there = layers[(layer + layers.size() / 2) % layers.size()].step(t);
      both.clear();
      std::set_intersection(here.begin(), here.end(), there.begin(), there.end(), std::back_inserter(both));
      shared += static_cast<double>(both.size());
      reads += static_cast<double>(here.size());
    }
  }
  return reads > 0 ? shared / reads : 0;
}

std::vector<double> measure_pooled(const std::vector<LayerReads>& layers, double k) {
  std::size_t blocks = 0;
  std::vector<std::size_t> first;
  double reads = 0;
  for (const LayerReads& layer : layers) {
    first.push_back(blocks);
    blocks += layer.num_blocks(layer.num_steps() - 1);
    reads += static_cast<double>(layer.ids.size());
  }
  RecencyList recency(blocks);
  for (std::uint32_t t = 0; t < layers.front().num_steps(); ++t) {
    for (std::size_t layer = 0; layer < layers.size(); ++layer) {
      BlockId newest;
      recency.touch(layers[layer].step(t), appended(layers[layer], t, newest), first[layer]);
    }
  }
  return miss_ratios(recency, k * static_cast<double>(layers.size()), reads);
}

}  // namespace kvplace::generate
