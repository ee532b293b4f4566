/// Small random traces with locality, for tests and benchmarks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "kvplace/trace/writer.h"

namespace kvplace::testing {

struct RandomTraceShape {
  std::uint32_t steps = 20;
  std::uint32_t layers = 3;
  std::uint32_t prompt_tokens = 40;
  std::uint32_t block_tokens = 1;
  std::uint32_t experts = 0;
  std::uint32_t requests = 1;
  std::uint32_t reads = 8;  ///< at most so many blocks are read per step
  double keep = 0.7;        ///< chance that a block read in the last step is read again
  bool ranking = false;
  bool read_bytes = false;
  std::uint32_t tokens = 1;  ///< at most so many are verified by a decode step
  std::uint64_t seed = 1;
};

inline TraceMeta meta_of(const RandomTraceShape& shape) {
  TraceMeta meta;
  meta.layers = shape.layers;
  meta.layout = {shape.experts, shape.requests, shape.block_tokens, shape.prompt_tokens};
  meta.has_ranking = shape.ranking;
  meta.has_read_bytes = shape.read_bytes;
  meta.has_tokens = shape.tokens > 1;
  meta.block_bytes = Bytes(1000 * std::int64_t{shape.block_tokens});
  meta.source = "random";
  return meta;
}

/// All records in trace order. The blocks of the tokens being decoded are always read.
inline Segment random_segment(const RandomTraceShape& shape) {
  std::mt19937_64 random(shape.seed);
  const auto below = [&random](std::uint64_t bound) { return static_cast<std::uint32_t>(random() % bound); };
  const TraceMeta meta = meta_of(shape);
  Segment segment(StepIndex(0), shape.layers);
  std::vector<std::vector<BlockId>> last(shape.layers);
  std::vector<StepTokens> step_tokens;
  std::vector<std::uint32_t> written_tokens;
  std::uint32_t context = shape.prompt_tokens;
  for (std::uint32_t step = 0; step < shape.steps; ++step) {
    StepTokens tokens;
    if (shape.tokens > 1) {
      tokens.verified = 1 + below(shape.tokens);
      tokens.decoded = 1 + below(tokens.verified);
      step_tokens.push_back(tokens);
    }
    std::vector<BlockId> written;
    std::vector<std::uint32_t> counts;
    for (std::uint32_t token = context; token < context + tokens.verified; ++token) {
      const BlockId id = meta.layout.page_block(token / shape.block_tokens, step % shape.requests);
      if (written.empty() || written.back() != id) {
        written.push_back(id);
        counts.push_back(0);
      }
      ++counts.back();
    }
    context += tokens.decoded;
    for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
      std::vector<BlockId> reads = written;
      written_tokens.insert(written_tokens.end(), counts.begin(), counts.end());
      for (const BlockId id : last[layer]) {
        if (reads.size() < shape.reads && below(1000) < shape.keep * 1000) {
          reads.push_back(id);
        }
      }
      while (reads.size() < shape.reads) {
        // Blocks that surely exist: the initial ones, or those of requests that got this page before.
        reads.emplace_back(below(std::max(1u, meta.layout.initial_blocks())));
        if (meta.layout.initial_blocks() == 0) {
          reads.pop_back();
          break;
        }
      }
      std::sort(reads.begin(), reads.end());
      reads.erase(std::unique(reads.begin(), reads.end()), reads.end());
      last[layer] = reads;
      std::vector<BlockId> ranking;
      if (shape.ranking) {
        ranking = reads;
        std::shuffle(ranking.begin(), ranking.end(), random);
      }
      std::vector<std::uint32_t> bytes;
      if (shape.read_bytes) {
        for (std::size_t i = 0; i < reads.size(); ++i) {
          bytes.push_back(below(3) == 0 ? 0 : 1 + below(900));
        }
      }
      segment.add(reads, written, ranking, bytes);
    }
  }
  if (shape.tokens > 1) {
    segment.set_tokens(std::move(step_tokens), std::move(written_tokens));
  }
  return segment;
}

/// Writes a segment as a trace and returns its path; throws if the writer refuses.
inline std::string write_trace(const std::string& path, const TraceMeta& meta, const Segment& segment,
                               std::size_t chunk_bytes = 512) {
  TraceWriterOptions options;
  options.chunk_bytes = chunk_bytes;
  TraceWriter writer = TraceWriter::create(path, meta, options).value();
  for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
    for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
      if (const Status added = writer.add(segment.view(step, layer)); !added) {
        throw std::runtime_error(added.error().message);
      }
    }
  }
  writer.finish().value();
  return path;
}

inline std::string write_random_trace(const std::string& path, const RandomTraceShape& shape) {
  return write_trace(path, meta_of(shape), random_segment(shape));
}

}  // namespace kvplace::testing
