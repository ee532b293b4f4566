/// What a placement policy sees and decides: one virtual call per step (decode step, layer), never per read.
///
/// A policy's base class is its information (formulation, "Policies"): a causal one has no handle to the future at all,
/// and only a ranked one sees what the selector thought of blocks that were not read.
///
/// The replay calls start() once and then step() for every step in order, all from one thread at a time; different
/// policies run in different threads. Spans that a policy is given belong to the replay and hold until the call
/// returns; the instance holds as long as the policy. A decision's evictions are applied before its promotions, so a
/// promotion may take the place of what it evicts.
///
/// With copies in the background a promotion is issued, and takes its room at once. Until its last byte has moved the
/// block is near for the policy all the same, which need not know the rule: read, it is a hit, though it is read from
/// far, as the loads say, and then near as a whole; it may be evicted, and is not promoted again. Copies move in the
/// order of Decision::promote.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "kvplace/base/units.h"
#include "kvplace/instance/instance.h"

namespace kvplace {

/// One step as a policy sees it. Of a served batch `written` has the prompts that arrive as well. Blocks are named by
/// BlockIndex, ascending. A block appended to in this step and not near is in `written` only, read or not: its read is
/// a near read by rule.
struct StepInput {
  StepIndex step;
  LayerIndex layer;
  std::span<const BlockIndex> hits;     ///< read, and near
  std::span<const BlockIndex> misses;   ///< read from far
  std::span<const BlockIndex> written;  ///< appended to in this step, and not near
  std::span<const std::uint8_t>
      written_is_new;  ///< parallel: not 0 if the block exists since this step, so that it enters free; kPageArrived
                       ///< if it came with its request's prompt, else kPageBegun
  std::uint32_t copies_in_flight = 0;  ///< with copies in the background: blocks whose last byte has not moved yet
  Loads loads;  ///< of reads, weights and new KV (a new block's as if it stayed near), for the whole batch
  /// Of a served batch: pages that were near until now, and are gone, as their requests end with this decode step.
  /// Their room is free. They are in none of the lists above, whether read in this step or not, and never come again.
  /// Ascending.
  std::span<const BlockIndex> ended;
};

/// Of StepInput::written_is_new.
inline constexpr std::uint8_t kPageBegun = 1;
inline constexpr std::uint8_t kPageArrived = 2;

/// What changes at the end of the step. Net: no block in both lists, none twice.
struct Decision {
  std::vector<BlockIndex> promote;  ///< enter near, the most urgent first; not near before
  std::vector<BlockIndex> evict;    ///< leave near; near before
  void clear() {
    promote.clear();
    evict.clear();
  }
};

/// Fixed facts, valid while the policy runs.
struct PolicyContext {
  const Instance* instance = nullptr;
  /// Near at the first decode step, in order of entry; empty if the start is free and the policy's to choose.
  std::span<const BlockIndex> initial_near;
  bool has_ranking = false;  ///< of the trace
};

class CausalPolicy {
 public:
  virtual ~CausalPolicy() = default;
  virtual void start(const PolicyContext& context) = 0;
  virtual void step(const StepInput& input, Decision& decision) = 0;
};

/// Causal, and told the selector's ranking of the step at hand.
class RankedPolicy {
 public:
  virtual ~RankedPolicy() = default;
  /// How many of the best candidates it is told in a step that reads `reads` blocks.
  [[nodiscard]] virtual std::size_t depth(std::size_t reads) const = 0;
  virtual void start(const PolicyContext& context) = 0;
  /// `ranking`: candidates of the layer, best first, at most depth() of them; empty if the trace has no rankings.
  virtual void step(const StepInput& input, std::span<const BlockId> ranking, Decision& decision) = 0;
};

/// What is told of the reads of the next decode steps. Each told read is right with the probability that the policy's
/// parameter `accuracy` gives; a wrong one names another block of the layer, or none. What is told of a decode step
/// stays the same until it has run.
class Lookahead {
 public:
  virtual ~Lookahead() = default;
  /// Reads of `layer` in decode step `step` as told, ascending; empty behind the trace's end.
  /// REQUIRES: the step at hand <= step <= the step at hand + the policy's horizon.
  [[nodiscard]] virtual std::span<const BlockId> reads(StepIndex step, LayerIndex layer) const = 0;
  /// The selector's ranking of the step at hand, best first, at most the policy's depth(); empty if the trace has none.
  [[nodiscard]] virtual std::span<const BlockId> ranking() const = 0;
};

class LookaheadPolicy {
 public:
  virtual ~LookaheadPolicy() = default;
  /// How many decode steps ahead it is told; known before start().
  [[nodiscard]] virtual std::uint32_t horizon() const = 0;
  /// How many of the selector's best candidates it is told as well in a step that reads `reads` blocks.
  [[nodiscard]] virtual std::size_t depth(std::size_t /*reads*/) const { return 0; }
  virtual void start(const PolicyContext& context) = 0;
  virtual void step(const StepInput& input, const Lookahead& lookahead, Decision& decision) = 0;
};

/// When each block is read next: decode step, or kNeverRead. Parallel to the spans of StepInput.
struct NextReadsView {
  std::span<const std::uint32_t> of_hits;
  std::span<const std::uint32_t> of_misses;
  std::span<const std::uint32_t> of_written;
};

class OraclePolicy {
 public:
  virtual ~OraclePolicy() = default;
  /// `first_reads`: the first decode step that reads each block, by BlockIndex. The returned blocks are near at the
  /// first decode step if the start is free; else the result is not used.
  virtual std::vector<BlockIndex> start(const PolicyContext& context, std::span<const std::uint32_t> first_reads) = 0;
  virtual void step(const StepInput& input, const NextReadsView& next_reads, Decision& decision) = 0;
};

/// Not a placement but a figure of merit: states which share of a decode step's bytes comes from near.
class IdealPolicy {
 public:
  virtual ~IdealPolicy() = default;
  virtual void start(const PolicyContext& context) = 0;
  /// Share of weights and reads served near, 0 to 1. `total`: bytes of both, in the whole decode step, for all
  /// requests.
  [[nodiscard]] virtual double near_share(Bytes total) const = 0;
};

using AnyPolicy =
    std::variant<std::unique_ptr<CausalPolicy>, std::unique_ptr<RankedPolicy>, std::unique_ptr<LookaheadPolicy>,
                 std::unique_ptr<OraclePolicy>, std::unique_ptr<IdealPolicy>>;

}  // namespace kvplace
