#include "solve/search/block_paths.h"

#include <algorithm>
#include <atomic>
#include <bit>

#include "base/parallel.h"

namespace kvplace {
namespace {

constexpr double kCannot = 1e200;  // the cost of what cannot be done

std::size_t level_within(std::size_t length) { return static_cast<std::size_t>(std::bit_width(length)) - 1; }

void clear(PathLoads& loads, std::size_t num_steps) {
  loads.over_link.assign(num_steps, 0);
  loads.entered.assign(num_steps, 0);
  loads.near.assign(num_steps + 2, 0);
}

}  // namespace

BlockPaths::BlockPaths(const Instance& instance, unsigned threads)
    : threads_(threads),
      num_steps_(std::size_t{instance.steps()} * instance.layers()),
      layers_(instance.layers()),
      loads_of_workers_(std::min<std::size_t>(num_threads(threads), instance.layers())),
      before_(num_steps_ + 2) {
  fetches_.resize(num_steps_ > 0 ? level_within(num_steps_) + 1 : 0);
  for (std::vector<Fetch>& level : fetches_) {
    level.resize(num_steps_);
  }
}

Result<BlockPaths> BlockPaths::make(const TraceReader& trace, const Instance& instance,
                                    const std::function<bool()>& stop, unsigned threads) {
  BlockPaths paths(instance, threads);
  const std::uint32_t blocks = instance.blocks_per_layer();
  const bool free_start = instance.options().start == Start::kFree;
  std::vector<std::vector<std::int32_t>> last(instance.layers(), std::vector<std::int32_t>(blocks, -1));
  std::vector<std::vector<std::uint32_t>> row(instance.layers(), std::vector<std::uint32_t>(blocks, kFarAtStart));
  if (free_start) {
    for (std::vector<std::uint32_t>& of_layer : row) {
      std::fill_n(of_layer.begin(), instance.layout().initial_blocks(), 0);
    }
  } else {
    for (const BlockIndex block : instance.initial_near()) {
      row[instance.layer_of(block).value()][instance.id_of(block).value()] = 1;
    }
  }
  for (std::size_t chunk = 0; chunk < trace.num_chunks(); ++chunk) {
    if (stop()) {
      return interrupted("stopped before the trace was read");
    }
    KVPLACE_ASSIGN(segment, trace.chunk(chunk, ChunkParts::kWithoutRankings));
    KVPLACE_TRY(run_parallel(instance.layers(), threads, [&](std::size_t layer) -> Status {
      for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
        const StepView record = segment.view(step, static_cast<std::uint32_t>(layer));
        for (const BlockId id : record.appended) {
          if (id.value() >= instance.layout().initial_blocks() && row[layer][id.value()] == kFarAtStart) {
            row[layer][id.value()] = static_cast<std::uint32_t>(step * instance.layers() + layer + 1);
          }
        }
        paths.add(record, last[layer], row[layer]);
      }
      return {};
    }));
  }
  for (Layer& layer : paths.layers_) {
    layer.choices.resize(layer.reads.size());
  }
  return paths;
}

void BlockPaths::add(const StepView& record, std::vector<std::int32_t>& last, std::vector<std::uint32_t>& row) {
  Layer& layer = layers_[record.layer.value()];
  const auto step = static_cast<std::uint32_t>(record.step.value() * layers_.size() + record.layer.value());
  for (const BlockId id : record.reads) {
    if (std::binary_search(record.appended.begin(), record.appended.end(), id)) {
      continue;  // near by rule
    }
    const std::int32_t previous = last[id.value()];
    if (previous >= 0) {
      layer.is_last[static_cast<std::size_t>(previous)] = 0;
    }
    last[id.value()] = static_cast<std::int32_t>(layer.reads.size());
    layer.reads.push_back({step, previous, row[id.value()]});
    layer.is_last.push_back(1);
    row[id.value()] = step + 1;
  }
}

double BlockPaths::operator()(const PathPrices& prices, PathLoads& loads) {
  find_fetches(prices);
  std::atomic<std::size_t> next{0};
  (void)run_parallel(loads_of_workers_.size(), threads_, [&](std::size_t worker) -> Status {
    PathLoads& own = loads_of_workers_[worker];
    clear(own, num_steps_);
    for (std::size_t layer = next++; layer < layers_.size(); layer = next++) {
      find_paths(layers_[layer], prices);
      add_loads(layers_[layer], own);
    }
    return {};
  });
  clear(loads, num_steps_);
  for (const PathLoads& own : loads_of_workers_) {  // whole numbers: in any order
    for (std::size_t k = 0; k < num_steps_; ++k) {
      loads.over_link[k] += own.over_link[k];
      loads.entered[k] += own.entered[k];
    }
    for (std::size_t row = 0; row < loads.near.size(); ++row) {
      loads.near[row] += own.near[row];
    }
  }
  for (std::size_t row = 1; row < loads.near.size(); ++row) {
    loads.near[row] += loads.near[row - 1];
  }
  double cost = 0;
  for (const Layer& layer : layers_) {
    cost += layer.cost;
  }
  return cost;
}

void BlockPaths::find_fetches(const PathPrices& prices) {
  for (std::size_t row = 0; row <= num_steps_; ++row) {
    before_[row + 1] = before_[row] + prices.rows[row];
  }
  for (std::size_t k = 0; k < num_steps_; ++k) {
    fetches_[0][k] = {2 * prices.enter[k] + prices.miss[k] - before_[k + 1], static_cast<std::int32_t>(k)};
  }
  for (std::size_t level = 1; level < fetches_.size(); ++level) {
    const std::vector<Fetch>& below = fetches_[level - 1];
    const std::size_t half = std::size_t{1} << (level - 1);
    for (std::size_t k = 0; k + 2 * half <= num_steps_; ++k) {
      fetches_[level][k] = below[k].cost <= below[k + half].cost ? below[k] : below[k + half];
    }
  }
}

BlockPaths::Fetch BlockPaths::fetch(std::uint32_t begin, std::uint32_t end) const {
  if (begin >= end) {
    return {kCannot, -1};
  }
  const std::size_t level = level_within(end - begin);
  const Fetch& first = fetches_[level][begin];
  const Fetch& second = fetches_[level][end - std::bit_floor(end - begin)];
  return first.cost <= second.cost ? first : second;
}

void BlockPaths::find_paths(Layer& layer, const PathPrices& prices) const {
  layer.cost = 0;
  for (std::size_t i = 0; i < layer.reads.size(); ++i) {
    const Read& read = layer.reads[i];
    Choice& choice = layer.choices[i];
    double far = 0;
    double near = 0;
    if (read.previous >= 0) {
      far = layer.choices[static_cast<std::size_t>(read.previous)].far;
      near = layer.choices[static_cast<std::size_t>(read.previous)].near;
    }
    choice.leaves = near < far;
    far = std::min(far, near);
    const bool may_be_near = read.row != kFarAtStart;
    const double held = may_be_near ? near + before_[read.step + 1] - before_[read.row] : kCannot;
    const Fetch best = fetch(may_be_near && read.row > 0 ? read.row - 1 : 0, read.step);
    const double fetched = far + best.cost + before_[read.step + 1];
    choice.fetched_in = best.step;
    choice.fetched = fetched < held;
    const double near_before = std::min(held, fetched);
    choice.far = far + prices.miss[read.step];
    const double entered = choice.far + prices.enter[read.step];
    choice.enters = entered < near_before;
    choice.near = std::min(near_before, entered);
    if (layer.is_last[i] != 0) {
      layer.cost += std::min(choice.far, choice.near);
    }
  }
}

/// From the last read of each block back to its first. Near: by row where a block comes to be near or ceases to be.
void BlockPaths::add_loads(const Layer& layer, PathLoads& loads) {
  std::vector<std::uint8_t> to_be_near(layer.reads.size());
  for (std::size_t i = layer.reads.size(); i-- > 0;) {
    const Read& read = layer.reads[i];
    const Choice& choice = layer.choices[i];
    const bool near = layer.is_last[i] != 0 ? choice.near < choice.far : to_be_near[i] != 0;
    const bool missed = !near || choice.enters;
    bool held = false;
    if (missed) {
      loads.over_link[read.step] += 1;
      loads.entered[read.step] += near ? 1 : 0;
    } else if (choice.fetched) {
      const auto step = static_cast<std::size_t>(choice.fetched_in);
      loads.over_link[step] += 1;
      loads.entered[step] += 2;
      loads.near[step + 1] += 1;
      loads.near[read.step + 1] -= 1;
    } else {
      held = true;
      loads.near[read.row] += 1;
      loads.near[read.step + 1] -= 1;
    }
    if (read.previous >= 0) {
      to_be_near[static_cast<std::size_t>(read.previous)] = held || choice.leaves ? 1 : 0;
    }
  }
}

}  // namespace kvplace
