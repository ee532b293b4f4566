#include "kvplace/size/allocate.h"

#include <algorithm>
#include <queue>

namespace kvplace {
namespace {

/// What the next blocks of a layer save, each as much.
struct Gain {
  double per_block = 0;
  std::size_t layer = 0;
  std::uint32_t blocks = 0;

  /// The larger gain comes first; of equal ones the lower layer.
  bool operator<(const Gain& other) const {
    return per_block != other.per_block ? per_block < other.per_block : layer > other.layer;
  }
};

/// Misses saved per block from a to b.
double slope(const CurvePoint& a, const CurvePoint& b) {
  return (a.misses - b.misses) / static_cast<double>(b.blocks - a.blocks);
}

/// The stretch of the envelope that begins at `from`.
Gain next_gain(const LayerMissCurve& envelope, std::size_t layer, std::uint32_t from) {
  const auto end = std::upper_bound(envelope.begin(), envelope.end(), from,
                                    [](std::uint32_t blocks, const CurvePoint& p) { return blocks < p.blocks; });
  if (end == envelope.end() || end == envelope.begin()) {
    return {};
  }
  return {slope(*(end - 1), *end), layer, end->blocks - from};
}

void give_equally(std::span<const std::uint32_t> most, std::vector<std::uint32_t>& blocks, std::uint64_t left) {
  // The layers with the least first; a heap of (blocks, layer), smallest on top.
  using Entry = std::pair<std::uint32_t, std::size_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> least;
  for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
    if (blocks[layer] < most[layer]) {
      least.emplace(blocks[layer], layer);
    }
  }
  for (; left > 0 && !least.empty(); --left) {
    const std::size_t layer = least.top().second;
    least.pop();
    if (++blocks[layer] < most[layer]) {
      least.emplace(blocks[layer], layer);
    }
  }
}

}  // namespace

LayerMissCurve lower_envelope(const LayerMissCurve& curve) {
  LayerMissCurve hull;
  for (const CurvePoint& point : curve) {
    while (hull.size() >= 2 && slope(hull[hull.size() - 2], hull.back()) <= slope(hull.back(), point)) {
      hull.pop_back();
    }
    hull.push_back(point);
  }
  // What rises becomes flat; its place is kept, as blocks left over may go there.
  for (std::size_t i = 1; i < hull.size(); ++i) {
    hull[i].misses = std::min(hull[i].misses, hull[i - 1].misses);
  }
  return hull;
}

std::vector<std::uint32_t> allocate(std::span<const LayerMissCurve> envelopes, std::uint64_t total,
                                    std::uint32_t least) {
  std::vector<std::uint32_t> most;
  std::uint64_t needed = 0;
  for (const LayerMissCurve& envelope : envelopes) {
    most.push_back(envelope.empty() ? 0 : envelope.back().blocks);
    needed += std::min(least, most.back());
  }
  std::vector<std::uint32_t> blocks(envelopes.size(), 0);
  if (needed > total) {
    give_equally(most, blocks, total);
    return blocks;
  }
  std::uint64_t left = total - needed;
  std::priority_queue<Gain> gains;
  const auto offer = [&](std::size_t layer) {
    const Gain gain = next_gain(envelopes[layer], layer, blocks[layer]);
    if (gain.per_block > 0) {
      gains.push(gain);
    }
  };
  for (std::size_t layer = 0; layer < envelopes.size(); ++layer) {
    blocks[layer] = std::min(least, most[layer]);
    offer(layer);
  }
  while (left > 0 && !gains.empty()) {
    const Gain gain = gains.top();
    gains.pop();
    const auto taken = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, gain.blocks));
    blocks[gain.layer] += taken;
    left -= taken;
    offer(gain.layer);
  }
  give_equally(most, blocks, left);
  return blocks;
}

}  // namespace kvplace
