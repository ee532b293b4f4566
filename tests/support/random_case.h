/// Random traces and instances with every feature of the formulation: the one generator of all property tests. A test
/// that wants less changes what was drawn.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <random>
#include <string>
#include <utility>

#include "kvplace/instance/instance.h"
#include "support/paper_machine.h"
#include "support/random_trace.h"

namespace kvplace::testing {

/// What a random case may have at most.
struct CaseLimits {
  std::uint32_t layers = 3;
  std::uint32_t steps = 20;
  std::uint32_t prompt_tokens = 10;
  std::uint32_t reads = 10;        ///< by a step
  std::uint32_t near_blocks = 10;  ///< of all layers; one case in ten has room for all
  /// Blocks of 7 bytes, bandwidths that are no whole numbers and differ 50 times: for arithmetic that is exact. Without
  /// it the channels are about equal, so that none of them decides alone.
  bool wide = false;
  /// Layers that differ in the KV of a token and in fixed traffic, some of which grows with the context; decode steps
  /// of several tokens. Each in a part of the cases.
  bool unlike = false;
};

/// Near capacity as blocks of each layer, whatever it was.
inline void set_near_blocks_per_layer(InstanceOptions& options, std::uint32_t blocks) {
  options.near_capacity.reset();
  options.near_blocks_per_layer = blocks;
}

class RandomCase {
 public:
  /// Draws less than `bound` each time; 0 is the simplest.
  using Below = std::function<std::uint32_t(std::uint32_t bound)>;

  explicit RandomCase(std::uint64_t seed, const CaseLimits& most = {})
      : RandomCase([random = std::mt19937_64(seed)](
                       std::uint32_t bound) mutable { return static_cast<std::uint32_t>(random() % bound); },
                   most) {}
  RandomCase(Below below, const CaseLimits& most) : below_(std::move(below)), most_(most) {}

  std::uint32_t below(std::size_t bound) { return below_(static_cast<std::uint32_t>(bound)); }
  bool chance(double share) { return uniform() > 1 - share; }
  double uniform() { return below_(1u << 24) / static_cast<double>(1 << 24); }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return *(values.begin() + below(values.size()));
  }

  RandomTraceShape shape() {
    RandomTraceShape shape;
    shape.seed = below(std::uint32_t(-1));
    shape.layers = 1 + below(most_.layers);
    shape.steps = 1 + below(most_.steps);
    shape.block_tokens = most_.wide ? one_of({1u, 1u, 3u, 16u}) : one_of({1u, 1u, 2u, 3u});
    shape.prompt_tokens = below(most_.prompt_tokens + 1) * (most_.wide ? shape.block_tokens : 1);
    shape.requests = one_of({1u, 1u, 1u, 2u});
    shape.experts = one_of({0u, 0u, 0u, 3u});
    shape.reads = 1 + below(most_.reads);
    shape.keep = one_of({0.7, 0.3, 0.9});
    shape.read_bytes = chance(0.3);
    shape.tokens = most_.unlike ? one_of({1u, 2u, 4u}) : 1;
    return shape;
  }

  /// Of one request whose blocks are alike and read whole.
  RandomTraceShape plain_shape() {
    RandomTraceShape plain = shape();
    plain.requests = 1;
    plain.experts = 0;
    plain.read_bytes = false;
    return plain;
  }

  InstanceSpec spec(const RandomTraceShape& shape) {
    InstanceSpec spec;
    spec.hardware = machine();
    Model model;
    model.name = "random";
    model.layers = shape.layers;
    model.kv_bytes_per_token_per_layer = Bytes(most_.wide ? one_of({1000, 768, 7}) : 1000);
    if (chance(0.3)) {
      model.flops_per_layer_per_step = Flops(uniform() * (most_.wide ? 1e5 : 3e3));
      spec.hardware.peak_flops = FlopsPerSecond(most_.wide ? 1e12 : 1e9);
    }
    const Bytes page = model.kv_bytes_per_token_per_layer * std::int64_t{shape.block_tokens};
    if (shape.experts > 0) {
      const Bytes expert =
          one_of({page * 2, Bytes(std::max<std::int64_t>(1, page.value() / 2)), page * 3, Bytes(1700)});
      model.experts = {shape.experts, 1, 0, expert};
    }
    InstanceOptions& options = spec.options;
    if (chance(0.3)) {
      options.block_bytes = page;
    }
    spec.model = std::move(model);
    options.batch = shape.experts > 0 ? 1 : one_of({1u, 1u, 2u, 3u, most_.wide ? 64u : 5u});
    // Also what no number of pages fills.
    const std::uint32_t quarters = chance(0.1) ? 4000 * shape.layers : below(4 * most_.near_blocks + 1);
    options.near_capacity = Bytes(page.value() * quarters / 4 * options.batch);
    options.mode = one_of({Mode::kInclusive, Mode::kExclusive});
    options.barrier = one_of({Barrier::kLayer, Barrier::kToken});
    options.overlap = one_of({Overlap::kFull, Overlap::kFull, Overlap::kNone});
    options.start = one_of({Start::kRecent, Start::kEmpty, Start::kFree});
    if (options.mode == Mode::kInclusive) {
      options.mirrored_reads = one_of({MirroredReads::kNear, MirroredReads::kSplit});
    }
    options.weight_bytes_per_step = Bytes(one_of({0, 0, 500, 3000, most_.wide ? 100000 : 5000}));
    options.weights_near = one_of({1.0, 0.5, 0.0});
    options.new_kv = !chance(0.2);
    options.seed = below(3);
    if (most_.unlike && chance(0.6)) {
      make_layers_unlike(shape, spec);
    }
    return spec;
  }

  /// The model layer by layer: figures of their own in each.
  void make_layers_unlike(const RandomTraceShape& shape, InstanceSpec& spec) {
    Model& model = *spec.model;
    spec.options.block_bytes.reset();
    if (chance(0.7)) {
      spec.options.weight_bytes_per_step.reset();
    }
    for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
      LayerGroup group;
      group.at = std::to_string(layer);
      group.kv_bytes_per_token = Bytes(one_of({1000, 500, 1500, 600, 250}));
      group.selector_bytes_per_token = Bytes(one_of({0, 0, 3, 40}));
      group.state_bytes_per_request = Bytes(one_of({0, 0, 700}));
      group.dense_weight_bytes = Bytes(one_of({0, 300, 2500}));
      model.groups.push_back(group);
    }
  }

  /// The paper's machine with random bandwidths.
  Hardware machine() {
    Hardware hardware = paper_machine();
    const auto rate = [&] {
      return most_.wide ? BytesPerSecond(std::floor(1e9 * std::pow(50, uniform())) + one_of({0.0, 0.3}))
                        : BytesPerSecond(1e6 * (300 + below(700)));
    };
    // Promotion makes near slower than far if it is not much faster.
    hardware.near.bandwidth.spec = BytesPerSecond(rate().value() * one_of({1.0, 3.0, 8.0}));
    hardware.far.bandwidth.spec = rate();
    hardware.far.link_read.spec = rate();
    hardware.far.link_write.spec = rate();
    hardware.interference = one_of({0.0, 0.0, 0.1, 0.25, 0.9});
    hardware.step_overhead = Seconds(one_of({0.0, 0.0, most_.wide ? 1e-7 : 1e-6}));
    return hardware;
  }

 private:
  Below below_;
  CaseLimits most_;
};

}  // namespace kvplace::testing
