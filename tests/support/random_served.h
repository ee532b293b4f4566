/// Random served batches, whose requests come and end: tables, and traces that read what they allow.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/random_instance.h"

namespace kvplace::testing {

struct RandomServed {
  std::vector<ServedRequest> requests;
  std::uint32_t block_tokens = 1;
  std::uint32_t experts = 0;
  std::uint32_t layers = 1;
  std::uint32_t reads = 6;  ///< by a step, about
  bool read_bytes = false;
  std::uint64_t seed = 1;

  [[nodiscard]] std::shared_ptr<const ServedRequests> table() const {
    return ServedRequests::make(requests, block_tokens, experts, true).value();
  }
  [[nodiscard]] TraceMeta meta() const {
    TraceMeta meta;
    meta.layers = layers;
    meta.layout = BlockLayout::of(table(), experts, block_tokens);
    meta.has_read_bytes = read_bytes;
    meta.block_bytes = Bytes(1000 * std::int64_t{block_tokens});
    meta.source = "random";
    return meta;
  }
  /// For an instance of this trace.
  [[nodiscard]] RandomTraceShape shape() const {
    RandomTraceShape shape;
    shape.layers = layers;
    shape.block_tokens = block_tokens;
    shape.experts = experts;
    return shape;
  }
};

/// Requests in no order, in each decode step one at least; at most so many decode steps.
inline std::vector<ServedRequest> random_requests(RandomCase& random, std::uint32_t most, std::uint32_t steps,
                                                  std::uint32_t prompt_tokens) {
  std::vector<ServedRequest> requests;
  std::uint32_t covered = 0;
  const std::uint32_t count = 1 + random.below(most);
  for (std::uint32_t i = 0; i < count && covered < steps; ++i) {
    ServedRequest request;
    request.prompt_tokens = random.below(prompt_tokens + 1);
    request.first_step = random.chance(0.3) ? covered : random.below(covered + 1);
    request.end_step = std::min(steps, request.first_step + 1 + random.below(steps));
    covered = std::max(covered, request.end_step);
    requests.push_back(request);
  }
  std::rotate(requests.begin(), requests.begin() + random.below(requests.size()), requests.end());
  return requests;
}

inline RandomServed random_served(RandomCase& random, std::uint32_t requests = 6, std::uint32_t steps = 16,
                                  std::uint32_t prompt_tokens = 12) {
  RandomServed served;
  served.requests = random_requests(random, requests, steps, prompt_tokens);
  served.block_tokens = random.one_of({1u, 1u, 2u, 3u, 16u});
  served.experts = random.one_of({0u, 0u, 0u, 3u});
  served.layers = 1 + random.below(3);
  served.reads = 1 + random.below(10);
  served.read_bytes = random.chance(0.3);
  served.seed = random.below(std::uint32_t(-1));
  return served;
}

/// Experts, and pages of those that run, up to the one that a step writes to.
inline std::vector<BlockId> readable_blocks(const RandomServed& served, const ServedRequests& table,
                                            std::uint32_t step) {
  std::vector<BlockId> blocks;
  for (std::uint32_t id = 0; id < served.experts; ++id) {
    blocks.emplace_back(id);
  }
  for (std::uint32_t r = 0; r < served.requests.size(); ++r) {
    const ServedRequest& request = served.requests[r];
    if (request.first_step <= step && step < request.end_step) {
      const std::uint32_t pages = (request.prompt_tokens + step - request.first_step) / served.block_tokens + 1;
      const auto own = table.blocks_of(r).first(pages);
      blocks.insert(blocks.end(), own.begin(), own.end());
    }
  }
  return blocks;
}

/// Reads that stay in part from step to step.
inline Segment random_segment(const RandomServed& served) {
  std::mt19937_64 random(served.seed);
  const auto table = served.table();
  Segment segment(StepIndex(0), served.layers);
  std::vector<std::set<BlockId>> last(served.layers);
  for (std::uint32_t step = 0; step < table->steps(); ++step) {
    const std::vector<BlockId> may = readable_blocks(served, *table, step);
    for (std::uint32_t layer = 0; layer < served.layers; ++layer) {
      std::set<BlockId> reads;
      for (const BlockId id : may) {
        if (random() % 1000 < (last[layer].count(id) > 0 ? 700u : 1000 * served.reads / (may.size() + served.reads))) {
          reads.insert(id);
        }
      }
      last[layer] = reads;
      std::vector<std::uint32_t> bytes;
      for (std::size_t i = 0; served.read_bytes && i < reads.size(); ++i) {
        bytes.push_back(random() % 3 == 0 ? 0 : static_cast<std::uint32_t>(1 + random() % 900));
      }
      segment.add(std::vector<BlockId>(reads.begin(), reads.end()), {}, {}, bytes);
    }
  }
  return segment;
}

/// A random batch in a folder of its own, and what an instance for it is made of.
struct RandomServedInstance {
  explicit RandomServedInstance(const CaseLimits& most, std::uint32_t requests = 6)
      : RandomServedInstance(drawn_case(most), most, requests) {}
  RandomServedInstance(RandomCase&& random, const CaseLimits& most, std::uint32_t requests)
      : served(random_served(random, requests, most.steps, most.prompt_tokens)), spec(random.spec(served.shape())) {
    served.layers = std::min(served.layers, most.layers);
    spec.model->layers = served.layers;
    if (spec.model->groups.size() > served.layers) {
      spec.model->groups.resize(served.layers);
    }
    spec.options.batch = 1;
    path = write_trace(folder.path("t.kvt"), served.meta(), random_segment(served));
  }

  [[nodiscard]] TraceReader trace() const { return TraceReader::open(path).value(); }
  [[nodiscard]] Instance instance() const {
    const TraceReader reader = trace();
    return Instance::make(spec, reader.meta(), reader.totals()).value();
  }

  TempDir folder;
  RandomServed served;
  InstanceSpec spec;
  std::string path;
};

}  // namespace kvplace::testing
