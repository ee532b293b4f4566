/// What drafts of the next decode steps are worth to the flagship: how much likelier a block is to be read if they name
/// it, learned from what they named before.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kvplace/policy/policy.h"

namespace kvplace {

/// Learns from blocks that the decode step before did not read: that what was just read is read again, drafts need not
/// say. Work per step: O(blocks named). Memory: a bit per block, a byte per block of a layer.
class Drafts {
 public:
  explicit Drafts(std::uint32_t window) : window_(window) {}

  void start(const Instance& instance);
  /// Takes in what is written and what ends.
  void begin_step(const StepInput& input);
  /// Learns from the step at hand, of which `named` is the draft. `read_before(block)`: in the decode step before.
  template <class ReadBefore>
  void learn(const StepInput& input, std::span<const BlockId> named, ReadBefore read_before) {
    double seen = 0;
    const auto see = [&](BlockIndex block, bool is_named, bool is_read) {
      ++seen;
      if (!read_before(block)) {
        counts_[is_read ? 1 : 0][is_named ? 1 : 0] += 1;
      }
    };
    for (const auto& reads : {input.hits, input.misses}) {
      for (const BlockIndex block : reads) {
        see(block, std::ranges::binary_search(named, instance_->id_of(block)), true);
      }
    }
    for (const BlockId id : named) {
      const BlockIndex block = instance_->index(input.layer, id);
      if (exists(block) && !std::ranges::binary_search(input.hits, block) &&
          !std::ranges::binary_search(input.misses, block)) {
        see(block, true, false);
      }
    }
    counts_[0][0] += std::max(0.0, existing_[input.layer.value()] - seen);
    update_gain();
  }

  /// True if drafts are likelier to name what is read than what is not.
  [[nodiscard]] bool tell() const { return gain_ > 0; }

  /// Takes in the drafts of the decode steps behind the one at hand.
  void look(const StepInput& input, const Lookahead& lookahead);
  /// Blocks named there that exist, each once, in no order.
  [[nodiscard]] std::span<const BlockId> named() const { return named_; }
  /// False from take_gain_far() on.
  [[nodiscard]] bool is_named(BlockId id) const { return times_[id.value()] > 0; }
  /// What it gains near, on the scale of values.
  [[nodiscard]] float gain_near(BlockId id) const { return kNear * gain_ * static_cast<float>(times_[id.value()]); }
  /// What it gains far, on the scale of ranks.
  float take_gain_far(BlockId id) {
    return kFar * gain_ * static_cast<float>(std::exchange(times_[id.value()], std::uint8_t{0}));
  }

 private:
  // Of the gain, for each decode step that names a block; fitted on the Holmes text, like the weights of values.
  static constexpr float kNear = 0.5F;
  static constexpr float kFar = 0.13F;

  [[nodiscard]] bool exists(BlockIndex block) const { return exists_[block.value()]; }
  void update_gain();

  std::uint32_t window_;
  const Instance* instance_ = nullptr;
  std::vector<bool> exists_;      // by BlockIndex
  std::vector<double> existing_;  // by layer: how many
  double counts_[2][2] = {};      // blocks by whether they were read, and named
  float gain_ = 0;  // ln of how much likelier drafts are to name what is read than what is not; 0 while they are not
  std::vector<BlockId> named_;
  std::vector<std::uint8_t> times_;  // by BlockId, of the layer at hand
};

}  // namespace kvplace
