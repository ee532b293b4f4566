/// A trace as classes of gaps: all that the inclusive mode's bound needs to know of it.
///
/// A *gap* is a block's time between two reads that near or far may serve. Where far holds a copy of every block, gaps
/// are independent of each other but for the near-side cost of a passive promotion, and two gaps of one layer with the
/// same first and last decode step are alike. Real traces have 18 times fewer classes than reads, and reads of dense
/// synthetic ones are compressed more.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/instance/instance.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// Arrays of bytes go on for this many elements of no bytes, so that kernels need not mind their end.
inline constexpr std::size_t kGapPadding = 8;

/// All gaps of one length [decode steps] of a layer, by the decode step they begin in.
struct DenseGaps {
  std::uint32_t length = 0;
  std::vector<float> bytes;  ///< [steps - length + kGapPadding], of the blocks whose gap begins in each decode step
};

/// Gaps of one length, only those that there are.
struct SparseGaps {
  std::uint32_t length = 0;
  std::size_t first = 0;  ///< in LayerGaps::begin and ::bytes
  std::size_t count = 0;
};

struct LayerGaps {
  std::vector<DenseGaps> dense;
  std::vector<SparseGaps> sparse;
  std::vector<std::uint32_t> begin;  ///< decode step in which a sparse gap begins
  std::vector<float> bytes;          ///< parallel
  /// Gaps from the initial placement to the first read, by its decode step: of blocks that are near at the start, far,
  /// or either as the schedule likes. Padded.
  std::vector<float> start_near;
  std::vector<float> start_far;
  std::vector<float> start_free;
};

/// What is read and moved in each step whatever the placement; [steps * layers], t-major.
struct StepFacts {
  std::vector<double> read_bytes;  ///< of reads that either side may serve, of one request
  /// Bytes on each channel that no decision changes, of one request: reads by rule near, new KV (as in inclusive mode).
  std::vector<std::array<double, kNumChannels>> fixed_bytes;
  std::vector<std::uint8_t> whole_reads;  ///< each of those reads is of a whole block
};

/// Bytes on a channel that no decision changes in a step: those of the whole batch, weights, and what other layers
/// read.
[[nodiscard]] inline double all_fixed_bytes(const Instance& instance, const StepFacts& facts, std::size_t step,
                                            std::size_t channel) {
  const auto layer = static_cast<std::uint32_t>(step % instance.layers());
  const auto decode_step = static_cast<std::uint32_t>(step / instance.layers());
  const Instance::FixedLoads& fixed = instance.fixed_of(StepIndex(decode_step), LayerIndex(layer));
  const double context = static_cast<double>(instance.context_tokens(StepIndex(decode_step)));
  const bool grows = channel == at(Channel::kNearMem);
  return facts.fixed_bytes[step][channel] * instance.options().batch + static_cast<double>(fixed.loads.bytes[channel]) +
         (grows ? static_cast<double>(fixed.near_per_token.value()) * context : 0);
}

struct GapClasses {
  std::uint32_t steps = 0;
  std::uint32_t layers = 0;
  std::vector<LayerGaps> by_layer;
  StepFacts facts;
  std::uint64_t num_classes = 0;
};

/// One pass over the trace; an error of kind kInterrupted if `stop` (polled between chunks) says so. Memory: 4 bytes
/// per class and block, and a chunk.
[[nodiscard]] Result<GapClasses> build_gap_classes(const TraceReader& trace, const Instance& instance,
                                                   const std::function<bool()>& stop, const RunContext& context);

}  // namespace kvplace
