/// The flagship: what is near is what is most likely to be read soon, weighed by what a far read costs in its layer.
/// The policies `kvplace`, `kvplace-reads` and `kvplace-budgets` are its variants.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvplace/base/parameters.h"
#include "kvplace/policy/policy.h"
#include "policy/support/copies_ahead.h"
#include "policy/support/drafts.h"
#include "policy/support/far_cost.h"
#include "policy/support/marginal_reads.h"
#include "policy/support/value_slots.h"

namespace kvplace {

struct ValueOptions {
  ScoredBy scored_by = ScoredBy::kRanks;
  bool shared = true;     ///< the least value of all layers leaves; else each layer keeps to its own capacity
  bool frequency = true;  ///< values take in how often a block was read
  bool admission = true;  ///< a block read from far enters only if its value is worth a place
  /// Blocks count for what far reads cost in their layer, and nothing is promoted that near waits for.
  bool balance = true;
  bool copies = true;        ///< with copies in the background, what ranks just behind the reads comes in ahead
  std::uint32_t drafts = 0;  ///< decode steps behind the one at hand that drafts foretell; 0: none
};

/// Work per step: one pass over the layer's blocks that are near, and one for each few that leave, so O(1) per read as
/// long as near capacity is a fixed multiple of what is read. Memory: 24 bytes per block, 36 more per block that is
/// near.
class ValueEngine {
 public:
  explicit ValueEngine(const ValueOptions& options) : options_(options) {}

  void start(const PolicyContext& context);
  /// `lookahead`: the drafts, if there are any.
  void step(const StepInput& input, std::span<const BlockId> ranking, Decision& decision,
            const Lookahead* lookahead = nullptr);

 private:
  // In the place of a slot: far, and the step in which it left.
  static constexpr std::uint32_t kFar = 0x80000000;
  static constexpr std::uint32_t kNeverNear = 0xffffffff;

  struct Layer {
    Layer(const ValueOptions& options, BlockIndex first_block)
        : slots(options.scored_by, options.frequency), first(first_block) {}
    ValueSlots slots;
    BlockIndex first;
    Bytes used;
  };

  void end_requests(const StepInput& input, Layer& layer);
  [[nodiscard]] bool is_newest(const StepInput& input, std::size_t written) const;
  void free_slot(Layer& layer, BlockIndex block);
  void enter(Layer& layer, BlockIndex block, const BlockHistory& history);
  void enter_new(Layer& layer, BlockIndex block, const BlockHistory& history);
  void enter_back(const StepInput& input, Layer& layer, BlockIndex block);
  void enter_all(const StepInput& input, Layer& layer);
  /// How many of the layer's blocks that only just kept their place the step read.
  void learn_from_margin(const StepInput& input, const Layer& layer);
  void mark(const StepInput& input, std::span<const BlockId> ranking, Layer& layer);
  void learn_from_drafts(const StepInput& input, const Lookahead& lookahead, const Layer& layer);
  /// What drafts name and is near is worth more.
  void raise_named(Layer& layer);
  /// The best far blocks of the step's ranks, and of drafts, are offered as copies.
  void offer_copies(const StepInput& input, std::span<const BlockId> ranking);
  /// Brings in more copies while the queue is short.
  void copy_ahead(const StepInput& input);
  /// Gives the layer's copies that were not read yet their value.
  void value_copies(const StepInput& input, Layer& layer);
  void leave(Layer& layer, BlockIndex block, std::uint32_t step, Decision& decision);
  /// What a layer's values count for beside their own: what hits are worth there, and how its values err.
  [[nodiscard]] float weight(LayerIndex layer) const;
  /// The least valuable block of all layers leaves.
  void leave_least(LayerIndex at_hand, std::uint32_t step, Decision& decision);
  void drop_excess(const StepInput& input, Layer& layer, Decision& decision);
  [[nodiscard]] bool is_near(BlockIndex block) const { return slot_of_[block.value()] < kFar; }
  /// What ranks stand for, in steps that read about `reads` blocks.
  void update_ranks(std::size_t reads, std::size_t ranks);

  ValueOptions options_;
  const Instance* instance_ = nullptr;
  std::vector<Layer> layers_;
  FarCost far_cost_;
  MarginalReads margin_;
  CopiesAhead copies_;
  Drafts drafts_{0};
  Bytes used_;
  std::vector<std::uint32_t> slot_of_;  // by BlockIndex; if far, kFar and the step in which it left, or kNeverNear
  // Of what is far, by BlockIndex: decode step + 1 of its last read; of what was never read, when it was written.
  std::vector<std::int32_t> last_read_;
  std::vector<BlockHistory> left_;   // by BlockIndex: as it was when it left near
  std::vector<bool> entering_;       // by BlockIndex: since this step
  std::vector<BlockIndex> entered_;  // in this step
  std::vector<float> ranks_;
  float unranked_ = 0;           // what stands for the rank of a block that has none in the step
  std::size_t ranks_reads_ = 0;  // what they were made for
};

/// The switches of ValueOptions as parameters of a policy, all on.
[[nodiscard]] std::vector<ParameterInfo> value_option_parameters(ScoredBy scored_by);
[[nodiscard]] ValueOptions value_options_of(ScoredBy scored_by, const Parameters& parameters);

class CausalValuePolicy final : public CausalPolicy {
 public:
  explicit CausalValuePolicy(const ValueOptions& options) : engine_(options) {}

  void start(const PolicyContext& context) override { engine_.start(context); }
  void step(const StepInput& input, Decision& decision) override { engine_.step(input, {}, decision); }

 private:
  ValueEngine engine_;
};

}  // namespace kvplace
