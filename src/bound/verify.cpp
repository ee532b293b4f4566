// The value of a certificate's prices in one pass over the trace (docs/certificate.md, "The value"). For each block of
// a layer two numbers are kept: the least cost so far of all its residency paths that now have it far, or near.
#include "kvplace/bound/verify.h"

#include <algorithm>

#include "base/parallel.h"
#include "bound/check_prices.h"
#include "bound/fraction.h"
#include "bound/group_value.h"
#include "bound/layer_paths.h"
#include "bound/path_costs.h"
#include "trace/kvt_format.h"
#include "trace/segment_stream.h"

namespace kvplace {
namespace {

class Verification {
 public:
  Verification(const TraceReader& trace, const Certificate& certificate, const std::vector<Int128>& floor_ticks,
               const RunContext& context)
      : trace_(trace),
        numbers_(certificate.numbers),
        floor_ticks_(floor_ticks),
        context_(context),
        costs_(certificate),
        groups_(costs_),
        digest_(trace.meta()) {
    layers_.reserve(numbers_.layers);
    for (std::uint32_t layer = 0; layer < numbers_.layers; ++layer) {
      layers_.emplace_back(costs_, trace.meta().layout, layer);
    }
    Moves before;
    for (std::uint32_t layer = 1; layer < numbers_.layers; ++layer) {
      const Moves last = costs_.moves(0, layer - 1);
      before = layer == 1 ? last : then(before, last);
      layers_[layer].move(before);
    }
  }

  /// Ticks of all groups but their overhead, and of all blocks.
  Result<Int128> run() {
    SegmentStream stream(trace_, context_);
    KVPLACE_TRY(stream.start("verifying"));
    while (!stream.at_end()) {
      if (context_.stop_requested()) {
        return interrupted("stopped before the certificate was verified");
      }
      KVPLACE_TRY(process(stream));
      KVPLACE_TRY(stream.next());
    }
    stream.finish();
    if (next_step_ != numbers_.steps || kvt::to_hex(digest_.value()) != numbers_.trace_digest) {
      return rejected("the trace's contents are not those its digest names");
    }
    Int128 ticks = group_ticks_;
    for (const LayerPaths& layer : layers_) {
      ticks += layer.ticks();
    }
    return ticks;
  }

 private:
  /// All layers of a chunk, and beside them its digest.
  Status process(SegmentStream& stream) {
    const Segment& segment = stream.segment();
    if (segment.first_step() != next_step_ || segment.end_step() > numbers_.steps ||
        segment.layers() != numbers_.layers) {
      return rejected("the trace's chunks do not follow each other");
    }
    next_step_ = segment.end_step();
    prepare_moves(segment);
    loads_.resize(moves_.size());
    KVPLACE_TRY(stream.run(1 + layers_.size(), [&](std::size_t task) -> Status {
      if (task == 0) {
        add_to_digest(segment);
        return {};
      }
      return process_layer(segment, static_cast<std::uint32_t>(task - 1));
    }));
    return add_groups(segment);
  }

  /// The chunk's groups, each decode step by itself.
  Status add_groups(const Segment& segment) {
    const std::size_t num_layers = numbers_.layers;
    const bool per_token = layers_per_group(numbers_) > 1;
    std::vector<Int128> ticks(segment.num_steps());
    KVPLACE_TRY(run_parallel(ticks.size(), context_.threads, [&](std::size_t i) -> Status {
      const std::size_t step = segment.first_step() + i;
      StepLoads sum;
      for (std::size_t layer = 0; layer < num_layers; ++layer) {
        sum += loads_[i * num_layers + layer];
        if (per_token && layer + 1 < num_layers) {
          continue;
        }
        const std::size_t group = per_token ? step : step * num_layers + layer;
        KVPLACE_ASSIGN(value, groups_.ticks(group, sum, floor_ticks_.empty() ? 0 : floor_ticks_[group]));
        ticks[i] += value;
        sum = {};
      }
      return {};
    }));
    for (const Int128 of_step : ticks) {
      group_ticks_ += of_step;
    }
    return {};
  }

  void add_to_digest(const Segment& segment) {
    for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
      for (std::uint32_t layer = 0; layer < numbers_.layers; ++layer) {
        digest_.add(segment.view(step, layer));
      }
    }
  }

  Status process_layer(const Segment& segment, std::uint32_t layer) {
    for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
      const StepView record = segment.view(step, layer);
      const auto outside = [&](std::span<const BlockId> ids) {
        return !ids.empty() && ids.back().value() >= numbers_.blocks_per_layer;
      };
      if (outside(record.reads) || outside(record.appended)) {
        return rejected("the trace has blocks it does not count");
      }
      const std::size_t i = std::size_t{step - segment.first_step()} * numbers_.layers + layer;
      KVPLACE_ASSIGN(loads, layers_[layer].step(record, moves_[i]));
      loads_[i] = loads;
    }
    return {};
  }

  /// For each (decode step, layer) of the chunk the moves from then up to the layer's next step: the rest of this
  /// decode step, then the layers before it in the next one.
  void prepare_moves(const Segment& segment) {
    const std::uint32_t num_layers = numbers_.layers;
    moves_.resize(std::size_t{segment.num_steps()} * num_layers);
    for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
      Moves* const of_step = moves_.data() + std::size_t{step - segment.first_step()} * num_layers;
      of_step[num_layers - 1] = costs_.moves(step, num_layers - 1);
      for (std::uint32_t layer = num_layers - 1; layer > 0; --layer) {
        of_step[layer - 1] = then(costs_.moves(step, layer - 1), of_step[layer]);
      }
      if (step + 1 == numbers_.steps || num_layers == 1) {
        continue;
      }
      Moves before = costs_.moves(step + 1, 0);
      for (std::uint32_t layer = 1; layer < num_layers; ++layer) {
        of_step[layer] = then(of_step[layer], before);
        before = then(before, costs_.moves(step + 1, layer));
      }
    }
  }

  const TraceReader& trace_;
  const BoundNumbers& numbers_;
  const std::vector<Int128>& floor_ticks_;
  const RunContext& context_;
  PathCosts costs_;
  GroupValue groups_;
  kvt::Digest digest_;
  std::vector<LayerPaths> layers_;
  std::vector<Moves> moves_;      ///< [decode step of the chunk][layer]
  std::vector<StepLoads> loads_;  ///< the same
  Int128 group_ticks_ = 0;
  std::uint32_t next_step_ = 0;
};

}  // namespace

Result<VerifiedBound> verify(const TraceReader& trace, const Certificate& certificate, const RunContext& context) {
  KVPLACE_ASSIGN(totals, check_prices(certificate, trace));
  KVPLACE_ASSIGN(ticks, Verification(trace, certificate, totals.floor_ticks, context).run());
  const Int128 value = totals.overhead_ticks - totals.capacity_ticks + ticks;
  const Fraction bound{static_cast<UInt128>(std::max<Int128>(0, value)), certificate.ticks_per_second};
  return VerifiedBound{Seconds(double_rounded_down(bound)), exact_text(bound), decimal_rounded_down(bound)};
}

}  // namespace kvplace
