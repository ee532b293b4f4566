#include "kvplace/size/miss_curve.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "kvplace/simulate/replay.h"
#include "size/variation.h"
#include "trace/stack_distance.h"

namespace kvplace {
namespace {

constexpr int kPointsPerDoubling = 4;

/// What may be near at the start, the newest last: pages, or the experts that the prompt used.
void touch_prompt(const TraceMeta& meta, std::uint32_t layer, RecencyList& list) {
  std::vector<BlockId> pages;
  for (std::uint32_t id = meta.layout.experts; id < meta.layout.initial_blocks(); ++id) {
    pages.emplace_back(id);
  }
  list.touch({}, pages);
  if (!meta.prompt_experts.empty()) {
    for (const std::uint32_t expert : meta.prompt_experts[layer]) {
      const BlockId id(expert);
      list.touch({}, {&id, 1});
    }
  }
}

Result<std::vector<LayerMissCurve>> lru_curves(const TraceReader& trace, const Instance& instance,
                                               std::span<const std::uint32_t> reference_blocks,
                                               const RunContext& context) {
  const std::uint32_t layers = trace.meta().layers;
  const std::uint32_t blocks = trace.totals().blocks_per_layer;
  std::vector<RecencyList> lists(layers, RecencyList(blocks));
  if (trace.meta().layout.served != nullptr) {
    return bad_input(trace.path() +
                     ": is a served batch, whose requests come and go; miss ratio curves are of requests " +
                     "that run from the first decode step to the last: take the traces before they are merged");
  }
  if (instance.options().start == Start::kRecent) {
    for (std::uint32_t layer = 0; layer < layers; ++layer) {
      touch_prompt(trace.meta(), layer, lists[layer]);
    }
  }
  if (context.progress != nullptr) {
    context.progress->start("measuring miss curves", trace.totals().reads, "reads");
  }
  std::uint64_t done = 0;
  for (std::size_t i = 0; i < trace.num_chunks(); ++i) {
    if (context.stop_requested()) {
      return interrupted("stopped before the miss curves were known");
    }
    KVPLACE_ASSIGN(segment, trace.chunk(i, ChunkParts::kWithoutRankings));
    KVPLACE_TRY(run_parallel(layers, context.threads, [&](std::size_t layer) -> Status {
      for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
        const StepView record = segment.view(step, static_cast<std::uint32_t>(layer));
        lists[layer].touch_like_lru(record.reads, record.appended, reference_blocks[layer]);
      }
      return {};
    }));
    done += segment.num_reads();
    if (context.progress != nullptr) {
      context.progress->update(done);
    }
  }
  if (context.progress != nullptr) {
    context.progress->finish();
  }
  std::vector<LayerMissCurve> curves;
  for (const RecencyList& list : lists) {
    const std::vector<std::uint64_t> misses = list.distances().misses_up_to(blocks);
    LayerMissCurve& curve = curves.emplace_back();
    for (std::uint32_t capacity = 0; capacity <= blocks; ++capacity) {
      curve.push_back({capacity, static_cast<double>(misses[capacity])});
    }
  }
  return curves;
}

/// 0, then whole numbers in a geometric row up to `most`.
std::vector<std::uint32_t> grid(std::uint32_t most) {
  std::vector<std::uint32_t> capacities{0};
  for (int i = 0; capacities.back() < most; ++i) {
    const double point = std::exp2(static_cast<double>(i) / kPointsPerDoubling);
    const auto capacity = static_cast<std::uint32_t>(std::min<double>(most, std::round(point)));
    if (capacity > capacities.back()) {
      capacities.push_back(capacity);
    }
  }
  return capacities;
}

Result<std::vector<LayerMissCurve>> replayed_curves(const TraceReader& trace, const Instance& instance,
                                                    const PolicySpec& policy, const RunContext& context) {
  const std::vector<std::uint32_t> capacities = grid(trace.totals().blocks_per_layer);
  std::vector<Instance> instances;
  instances.reserve(capacities.size());
  for (const std::uint32_t capacity : capacities) {
    InstanceSpec spec = instance.spec();
    spec.options.layer_shares.clear();
    set_blocks_per_layer(spec, capacity);
    KVPLACE_ASSIGN(with_capacity, Instance::make(spec, trace.meta(), trace.totals()));
    instances.push_back(std::move(with_capacity));
  }
  std::vector<ReplayJob> jobs;
  for (const Instance& with_capacity : instances) {
    jobs.push_back({&with_capacity, policy});
  }
  KVPLACE_ASSIGN(results, replay_whole(trace, jobs, context));
  std::vector<LayerMissCurve> curves(trace.meta().layers);
  for (std::size_t i = 0; i < capacities.size(); ++i) {
    for (std::size_t layer = 0; layer < curves.size(); ++layer) {
      curves[layer].push_back({capacities[i], static_cast<double>(results[i].far_reads_by_layer[layer])});
    }
  }
  return curves;
}

}  // namespace

Status check_miss_curves(const TraceReader& trace, const PolicySpec& policy) {
  KVPLACE_ASSIGN(info, PolicyRegistry::instance().find(policy.name));
  if (!info->buffer_per_layer) {
    std::string names;
    for (const PolicyInfo& other : PolicyRegistry::instance().policies()) {
      if (other.buffer_per_layer) {
        names += (names.empty() ? "" : ", ") + other.name;
      }
    }
    return bad_input("policy " + policy.name +
                     " has no buffer per layer that a budget could size; those that have: " + names);
  }
  if (trace.meta().layout.experts > 0 && trace.meta().layout.experts < trace.totals().blocks_per_layer) {
    return bad_input(trace.path() + ": has KV pages and experts; budgets per layer are in blocks of one kind");
  }
  return {};
}

double misses_at(const LayerMissCurve& curve, std::uint32_t blocks) {
  const auto next = std::upper_bound(curve.begin(), curve.end(), blocks,
                                     [](std::uint32_t b, const CurvePoint& p) { return b < p.blocks; });
  if (next == curve.end()) {
    return curve.back().misses;
  }
  if (next == curve.begin()) {
    return curve.front().misses;
  }
  const CurvePoint& a = *(next - 1);
  const double share = static_cast<double>(blocks - a.blocks) / static_cast<double>(next->blocks - a.blocks);
  return a.misses + share * (next->misses - a.misses);
}

LayerMissCurve sum_of(std::span<const LayerMissCurve* const> curves) {
  std::vector<std::uint32_t> capacities;
  for (const LayerMissCurve* curve : curves) {
    for (const CurvePoint& point : *curve) {
      capacities.push_back(point.blocks);
    }
  }
  std::sort(capacities.begin(), capacities.end());
  capacities.erase(std::unique(capacities.begin(), capacities.end()), capacities.end());
  LayerMissCurve sum;
  for (const std::uint32_t capacity : capacities) {
    sum.push_back({capacity, 0});
    for (const LayerMissCurve* curve : curves) {
      sum.back().misses += misses_at(*curve, capacity);
    }
  }
  return sum;
}

Result<std::vector<LayerMissCurve>> measure_miss_curves(const TraceReader& trace, const Instance& instance,
                                                        const PolicySpec& policy,
                                                        std::span<const std::uint32_t> reference_blocks,
                                                        const RunContext& context) {
  KVPLACE_TRY(check_miss_curves(trace, policy));
  return policy.name == "lru" ? lru_curves(trace, instance, reference_blocks, context)
                              : replayed_curves(trace, instance, policy, context);
}

}  // namespace kvplace
