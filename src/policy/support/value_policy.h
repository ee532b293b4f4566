/// The flagship: what is near is what is most likely to be read within the time that keeping it costs, weighed by what
/// a far read costs in its layer. The policies `kvplace`, `kvplace-reads` and `kvplace-budgets` are its variants.
#pragma once

#include <bit>
#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "kvplace/base/parameters.h"
#include "kvplace/policy/policy.h"
#include "policy/support/far_cost.h"
#include "policy/support/read_chance.h"
#include "policy/support/value_slots.h"
#include "policy/support/value_threshold.h"

namespace kvplace {

struct ValueOptions {
  ScoredBy scored_by = ScoredBy::kRanks;
  bool shared = true;     ///< one threshold over all layers; else each layer keeps to its own capacity
  bool frequency = true;  ///< scores take in how often a block was read
  bool admission = true;  ///< a block read from far enters only if its value is worth a place
  /// Blocks count for what far reads cost in their layer; nothing is promoted that near waits for, and what far can
  /// send meanwhile is promoted ahead of its reads.
  bool balance = true;
};

/// A block that may leave; they compare as pairs of value and slot do.
class ValueAndSlot {
 public:
  ValueAndSlot() = default;
  ValueAndSlot(float value, std::size_t slot) {
    // The bits of floats, as integers, order those above 0; below 0 it is the other way round. Adding 0 makes -0 one.
    const auto bits = std::bit_cast<std::uint32_t>(value + 0.0F);
    const std::uint32_t ordered = bits ^ (static_cast<std::uint32_t>(-static_cast<std::int32_t>(bits >> 31)) | kSign);
    key_ = std::uint64_t{ordered} << 32 | slot;
  }
  [[nodiscard]] std::size_t slot() const { return key_ & 0xffffffff; }
  [[nodiscard]] float value() const {
    const auto ordered = static_cast<std::uint32_t>(key_ >> 32);
    return std::bit_cast<float>((ordered & kSign) != 0 ? ordered ^ kSign : ~ordered);
  }
  auto operator<=>(const ValueAndSlot&) const = default;

 private:
  static constexpr std::uint32_t kSign = 0x80000000;
  std::uint64_t key_ = 0;
};

/// Work per step: one pass over the layer's blocks that are near, so O(1) per read as long as near capacity is a fixed
/// multiple of what is read. Memory: 24 bytes per block, 48 more per block that is near.
class ValueEngine {
 public:
  explicit ValueEngine(const ValueOptions& options) : options_(options) {}

  void start(const PolicyContext& context);
  void step(const StepInput& input, std::span<const BlockId> ranking, Decision& decision);

 private:
  // In the place of a slot: far, and the step in which it left.
  static constexpr std::uint32_t kFar = 0x80000000;
  static constexpr std::uint32_t kNeverNear = 0xffffffff;

  struct Layer {
    Layer(const ValueOptions& options, ScoreCounts& common)
        : slots(options.scored_by, options.frequency), chance(common) {}
    ValueSlots slots;
    ReadChance chance;
    BlockIndex first{0};
    Bytes used;
    float threshold = 0;  // ln of the value below which blocks leave; if not shared, of the last that left
  };

  void enter(Layer& layer, BlockIndex block, const BlockHistory& history);
  void enter_new(Layer& layer, BlockIndex block, const BlockHistory& history);
  void enter_back(const StepInput& input, Layer& layer, BlockIndex block);
  void enter_all(const StepInput& input, Layer& layer);
  /// Where far has time while near does not, the best ranked of the other blocks enter as well.
  void enter_ahead(const StepInput& input, std::span<const BlockId> ranking, Layer& layer);
  void mark(const StepInput& input, std::span<const BlockId> ranking, Layer& layer);
  void leave(Layer& layer, std::size_t slot, std::uint32_t step, Decision& decision);
  /// Blocks below the threshold leave, until near is filled no more than it must be.
  void drop_below_threshold(std::uint32_t step, Layer& layer, Decision& decision);
  /// If the layer, or all together, still hold too much, the lowest of the layer leave.
  void drop_excess(const StepInput& input, Layer& layer, Decision& decision);
  /// Of the blocks with values below a limit, the lowest leave until so many bytes are gone, or all.
  void drop_lowest(Layer& layer, float limit, Bytes excess, std::uint32_t step, Decision& decision);
  /// Finds them, by sorting, behind what is in leaving_.
  void find_lowest(Layer& layer, float limit, Bytes excess);
  /// Puts those that may leave and have less than a value into order_.
  void find_below(const Layer& layer, float value);
  /// What becomes of some of the layer's blocks will be learned from.
  void sample(std::uint32_t step, Layer& layer);
  [[nodiscard]] BlockTraits traits(const Layer& layer, std::size_t slot, std::uint32_t step) const;
  [[nodiscard]] bool is_near(BlockIndex block) const { return slot_of_[block.value()] < kFar; }
  [[nodiscard]] bool may_leave(BlockIndex block) const { return options_.admission || !entering_[block.value()]; }
  /// What ranks stand for, in steps that read about `reads` blocks.
  void update_ranks(std::size_t reads, std::size_t ranks);

  ValueOptions options_;
  const Instance* instance_ = nullptr;
  std::vector<ScoreCounts> common_counts_;  // of all layers, in one; of each, if they share nothing
  std::vector<Layer> layers_;
  ValueThreshold threshold_;
  FarCost far_cost_;
  Bytes used_;
  std::vector<std::uint32_t> token_of_;  // by BlockId: its first token; 0 for experts
  std::vector<std::uint32_t> slot_of_;   // by BlockIndex; if far, kFar and the step in which it left, or kNeverNear
  // Of what is far, by BlockIndex: decode step + 1 of its last read; of what was never read, when it was written.
  std::vector<std::int32_t> last_read_;
  std::vector<BlockHistory> left_;   // by BlockIndex: as it was when it left near
  std::vector<bool> entering_;       // by BlockIndex: since this step
  std::vector<BlockIndex> entered_;  // in this step
  std::vector<BlockIndex> leaving_;
  std::vector<ValueAndSlot> order_;
  std::vector<RankValue> ranks_;
  std::size_t ranks_reads_ = 0;  // what they were made for
  Bytes least_block_;
  bool alike_ = false;  // blocks are of one size, and any may leave
};

/// The switches of ValueOptions as parameters of a policy, all on.
[[nodiscard]] std::vector<ParameterInfo> value_option_parameters();
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
