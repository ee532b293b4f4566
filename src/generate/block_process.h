/// The engine: the read set of one layer, step by step. Memory O(blocks), time O(changes + classes) per step beside
/// giving out the reads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "generate/apportion.h"
#include "generate/block_cells.h"
#include "generate/depth_classes.h"
#include "generate/process_model.h"
#include "generate/random.h"
#include "kvplace/base/units.h"

namespace kvplace::generate {

/// The blocks of a layer that one process reads: ids from `first` on.
struct BlockRange {
  std::uint32_t first = 0;
  std::uint32_t initial = 0;        ///< blocks before decode step 0
  std::uint32_t prompt_tokens = 0;  ///< with block_tokens says when blocks are appended
  std::uint32_t block_tokens = 0;   ///< 0: nothing is ever appended
};

class BlockProcess {
 public:
  /// The stream depends on all arguments and nothing else. REQUIRES: the model outlives the process.
  BlockProcess(const ProcessModel& model, const BlockRange& range, std::uint64_t seed, std::uint32_t layer);

  /// Goes on to the next decode step, the first being 0.
  void step();

  /// Appends the ids read, ascending.
  void append_reads(std::vector<BlockId>& out) const;
  /// Appends up to `depth` ids in order of how likely they stay or come in, the blocks read first.
  /// REQUIRES: depth >= num_reads().
  void append_ranking(std::uint32_t depth, std::vector<BlockId>& out);
  [[nodiscard]] std::uint32_t num_reads() const { return num_reads_; }

 private:
  struct Block {
    std::uint32_t since = 0;  ///< member: step it entered; outside: step of its last read
    std::uint8_t cls = 0;
    std::uint8_t pins = 0;
    bool ever_read = false;
  };
  struct SlashLine {
    std::uint32_t distance = 0;  ///< tokens behind the newest
    std::uint32_t block = kNoBlock;
  };
  static constexpr std::uint32_t kNoBlock = 0xffffffffu;
  static constexpr std::size_t kNumCohorts = kLeastAge.back() + 1;
  static constexpr std::uint8_t kHeavy = 1;  ///< a class

  [[nodiscard]] bool is_read(std::uint32_t b) const { return (bits_[b / 64] >> (b % 64) & 1) != 0; }
  [[nodiscard]] std::size_t member_cell(const Block& block, std::uint32_t age) const {
    return block.cls * kNumAges + age_class(std::max(age, 1u));
  }
  [[nodiscard]] std::size_t outside_cell(const Block& block, std::uint32_t age) const {
    return first_outside_ + block.cls * outside_stride_ + age_class(age);
  }
  [[nodiscard]] std::size_t cold_cell(const Block& block) const { return first_cold_ + block.cls; }
  [[nodiscard]] std::uint32_t budget() const;
  [[nodiscard]] double heavy_chance() const;
  /// The moving average's factor for so many steps.
  [[nodiscard]] float decayed(std::uint32_t steps) const;
  [[nodiscard]] std::uint8_t class_at_birth(std::uint32_t b, double heavy_chance) const;
  [[nodiscard]] std::uint8_t class_by_frequency(float frequency) const;

  void add_blocks(std::uint32_t count);
  void append_new_blocks();
  static constexpr std::uint32_t kAhead = 16;  ///< blocks that are fetched from memory before their turn
  /// What is kept of a block a little further down a list that is gone through.
  void prefetch(const std::vector<std::uint32_t>& list, std::size_t at) const {
    if (at + kAhead < list.size()) {
      cells_.prefetch(list[at + kAhead]);
    }
  }
  void prefetch_all(const std::vector<std::uint32_t>& list, std::size_t at) const {
    if (at + kAhead < list.size()) {
      cells_.prefetch(list[at + kAhead]);
      __builtin_prefetch(&blocks_[list[at + kAhead]], 1);
    }
  }
  /// A step as a block's mark says it. No list that is gone through holds steps so far apart that two look alike.
  [[nodiscard]] static std::uint16_t mark_of(std::uint32_t step) { return static_cast<std::uint16_t>(step); }
  static_assert(kNumCohorts < (1u << 16));
  void set_since(std::uint32_t b, std::uint32_t step) {
    blocks_[b].since = step;
    cells_.set_mark(b, mark_of(step));
  }
  void grow_older();
  void pin(std::uint32_t b);
  void unpin(std::uint32_t b, bool stays);
  void move_window();
  void move_slash_lines();
  void set_read(std::uint32_t b) {
    bits_[b / 64] |= std::uint64_t{1} << (b % 64);
    blocks_[b].ever_read = true;
    ++num_reads_;
  }
  void clear_read(std::uint32_t b) {
    bits_[b / 64] &= ~(std::uint64_t{1} << (b % 64));
    --num_reads_;
  }
  /// Before a block that is not read becomes so.
  void note_entering(const Block& block) {
    if (!depths_) {
      return;
    }
    if (block.ever_read) {
      depths_->enter(block.since);
    } else {
      depths_->enter_cold();
    }
  }
  /// `cohort`: the blocks of this step, or of the last.
  void become_member(std::uint32_t b, std::vector<std::uint32_t>& cohort);
  void become_outside(std::uint32_t b, std::vector<std::uint32_t>& cohort);
  [[nodiscard]] double churn_factor();
  void exchange();
  void choose_leaving(std::uint32_t wanted);
  void choose_entering(std::uint32_t wanted);
  void choose_entering_by_depth(std::uint32_t wanted);
  void order_cells();
  /// Takes draws[i] blocks at random from cell first_cell + i: of the candidates the most popular, or the least.
  void take_from_cells(bool most_popular, std::size_t first_cell, std::span<const std::uint32_t> draws,
                       std::vector<std::uint32_t>& out);

  const ProcessModel& model_;
  BlockRange range_;
  std::uint64_t seed_;
  std::uint32_t layer_;
  std::uint64_t for_common_class_;  ///< hashes to which a block is added
  std::uint64_t for_class_;
  std::uint64_t for_popularity_;
  Random random_;
  Apportionment apportionment_;
  EvenApportionment even_;

  std::uint32_t step_ = 0;       ///< the step at hand
  std::uint32_t num_sinks_ = 0;  // pinned so far
  bool started_ = false;
  std::size_t outside_stride_;  ///< cells of a class of outside blocks
  std::size_t first_outside_;   ///< cells of members come before
  std::size_t first_cold_;
  BlockCells cells_;  ///< members by class and age, outside blocks by class and age or depth, cold blocks by class
  std::vector<Block> blocks_;
  std::vector<float> frequency_;  ///< by block, if classes decay: the moving average when it last entered or left
  std::vector<std::uint32_t> popularity_;  ///< by block, the same in all layers; empty if there are no choices
  std::vector<std::uint64_t> bits_;        ///< a bit per block: read in the step at hand
  std::uint32_t num_reads_ = 0;
  std::uint32_t num_pinned_ = 0;
  std::uint32_t entered_by_pin_ = 0;  ///< in the step at hand
  std::uint32_t window_begin_ = 0;    ///< first block of the window
  std::uint32_t window_end_ = 0;      ///< behind the newest block of the window
  std::vector<SlashLine> slash_;
  std::vector<std::vector<std::uint32_t>> cohorts_;  ///< blocks by `since`, a ring; may hold outdated entries
  std::optional<DepthClasses> depths_;               ///< of outside blocks, instead of their ages
  std::vector<std::uint32_t> leaving_;
  std::vector<std::uint32_t> entering_;
  std::vector<float> decay_powers_;
  std::vector<std::size_t> ranked_cells_;  ///< cells in the order of a ranking
  std::vector<double> enter_weights_;
  std::vector<std::uint32_t> scratch_counts_;
};

}  // namespace kvplace::generate
