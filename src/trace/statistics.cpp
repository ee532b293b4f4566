#include "kvplace/trace/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "trace/segment_stream.h"
#include "trace/stack_distance.h"
#include "trace/statistics_layer.h"

namespace kvplace {
namespace {

/// The statistics of one trace while they are gathered.
class Gatherer {
 public:
  explicit Gatherer(const TraceReader& trace)
      : trace_(trace), pooled_(std::size_t{trace.meta().layers} * trace.totals().blocks_per_layer) {
    layers_.reserve(trace.meta().layers);
    for (std::uint32_t layer = 0; layer < trace.meta().layers; ++layer) {
      layers_.emplace_back(trace.meta(), trace.totals());
    }
  }

  /// Takes in the segment at hand.
  [[nodiscard]] Status add(SegmentStream& stream);
  [[nodiscard]] TraceStatistics finish() const;

 private:
  void add_to_layer(const Segment& segment, std::uint32_t layer);
  void add_to_pooled(const Segment& segment);
  [[nodiscard]] std::vector<std::uint64_t> capacities(std::uint64_t layers) const;
  [[nodiscard]] std::uint64_t num_reads() const;
  void add_miss_curves(TraceStatistics& statistics) const;

  const TraceReader& trace_;
  std::vector<LayerStatistics> layers_;
  RecencyList pooled_;
};

Status Gatherer::add(SegmentStream& stream) {
  return stream.run(1 + layers_.size(), [&](std::size_t task) -> Status {
    if (task == 0) {
      add_to_pooled(stream.segment());
    } else {
      add_to_layer(stream.segment(), static_cast<std::uint32_t>(task - 1));
    }
    return {};
  });
}

void Gatherer::add_to_layer(const Segment& segment, std::uint32_t layer) {
  for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
    layers_[layer].add(segment.view(step, layer));
  }
}

void Gatherer::add_to_pooled(const Segment& segment) {
  const std::size_t blocks = trace_.totals().blocks_per_layer;
  for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
    for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
      const StepView record = segment.view(step, layer);
      pooled_.touch(record.reads, record.appended, layer * blocks);
    }
  }
}

std::uint64_t Gatherer::num_reads() const {
  std::uint64_t reads = 0;
  for (const LayerStatistics& layer : layers_) {
    reads += layer.reads();
  }
  return reads;
}

/// Of a list over `layers` layers.
std::vector<std::uint64_t> Gatherer::capacities(std::uint64_t layers) const {
  const std::uint64_t reads = num_reads();
  if (reads == 0) {
    return {};
  }
  const double mean = static_cast<double>(reads) / (static_cast<double>(trace_.totals().steps) * trace_.meta().layers);
  const auto k = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::llround(mean)));
  std::vector<std::uint64_t> capacities;
  for (const std::uint64_t halves : {1u, 2u, 3u, 4u, 6u, 8u, 12u, 16u}) {
    const std::uint64_t capacity =
        std::min<std::uint64_t>(k * layers * halves / 2, trace_.totals().blocks_per_layer * layers);
    if (capacity > 0 && (capacities.empty() || capacities.back() != capacity)) {
      capacities.push_back(capacity);
    }
  }
  return capacities;
}

void Gatherer::add_miss_curves(TraceStatistics& statistics) const {
  const auto ratio = [](std::uint64_t misses, std::uint64_t reads) {
    return reads == 0 ? 0 : static_cast<double>(misses) / static_cast<double>(reads);
  };
  const std::uint64_t reads = num_reads();
  statistics.lru.capacity_blocks = capacities(1);
  statistics.lru_by_layer.assign(layers_.size(), statistics.lru);
  for (const std::uint64_t capacity : statistics.lru.capacity_blocks) {
    std::uint64_t misses = 0;
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
      const std::uint64_t of_layer = layers_[layer].recency().distances().misses(capacity);
      misses += of_layer;
      statistics.lru_by_layer[layer].miss_ratio.push_back(ratio(of_layer, layers_[layer].reads()));
    }
    statistics.lru.miss_ratio.push_back(ratio(misses, reads));
  }
  statistics.lru_pooled.capacity_blocks = capacities(layers_.size());
  for (const std::uint64_t capacity : statistics.lru_pooled.capacity_blocks) {
    statistics.lru_pooled.miss_ratio.push_back(ratio(pooled_.distances().misses(capacity), reads));
  }
}

TraceStatistics Gatherer::finish() const {
  TraceStatistics statistics;
  const auto num_layers = static_cast<double>(layers_.size());
  const std::uint32_t steps = trace_.totals().steps;
  MeanOf overlap;
  MeanOf density;
  std::uint64_t kv_reads = 0;
  std::uint64_t recent_reads = 0;
  std::uint64_t first_token_reads = 0;
  std::array<std::uint64_t, kWorkingSetWindows.size()> read_in_windows{};
  std::vector<std::uint64_t>& distances = statistics.reuse_distance_steps;
  distances.resize(32);
  for (const LayerStatistics& layer : layers_) {
    const ReuseStatistics& reuse = layer.reuse();
    statistics.overlap_by_layer.push_back(reuse.overlap().mean());
    overlap.add(reuse.overlap().mean());
    density.add(layer.density());
    statistics.first_reads += reuse.first_reads();
    for (std::size_t i = 0; i < distances.size(); ++i) {
      distances[i] += reuse.distances()[i];
    }
    for (std::size_t i = 0; i < read_in_windows.size(); ++i) {
      read_in_windows[i] += reuse.read_in_windows()[i];
    }
    kv_reads += layer.tokens().kv_reads();
    recent_reads += layer.tokens().recent_reads();
    first_token_reads += layer.tokens().first_reads();
  }
  while (!distances.empty() && distances.back() == 0) {
    distances.pop_back();
  }
  for (std::size_t i = 0; i < kWorkingSetWindows.size() && kWorkingSetWindows[i] <= steps; ++i) {
    const double windows = static_cast<double>(steps - kWorkingSetWindows[i] + 1) * num_layers;
    statistics.working_set[kWorkingSetWindows[i]] = static_cast<double>(read_in_windows[i]) / windows;
  }
  statistics.reads_per_step = static_cast<double>(num_reads()) / (static_cast<double>(steps) * num_layers);
  statistics.overlap = overlap.mean();
  statistics.density = density.mean();
  if (kv_reads > 0) {
    statistics.recent_share = static_cast<double>(recent_reads) / static_cast<double>(kv_reads);
    statistics.first_share = static_cast<double>(first_token_reads) / static_cast<double>(kv_reads);
  }
  add_miss_curves(statistics);
  return statistics;
}

}  // namespace

Result<TraceStatistics> compute_statistics(const TraceReader& trace, const RunContext& context) {
  const std::uint64_t blocks = std::uint64_t{trace.meta().layers} * trace.totals().blocks_per_layer;
  if (blocks > RecencyList::kMostBlocks) {
    return bad_input(trace.path() + ": has " + std::to_string(blocks) + " blocks over all layers, more than the " +
                     std::to_string(RecencyList::kMostBlocks) + " that statistics can hold; split it by layers");
  }
  Gatherer gatherer(trace);
  SegmentStream stream(trace, context);
  KVPLACE_TRY(stream.start("measuring locality"));
  while (!stream.at_end()) {
    if (context.stop_requested()) {
      return interrupted("stopped before the statistics were known");
    }
    KVPLACE_TRY(gatherer.add(stream));
    KVPLACE_TRY(stream.next());
  }
  stream.finish();
  return gatherer.finish();
}

}  // namespace kvplace
