/// Blocks in classes by stack depth: how many other blocks were read since their last read.
///
/// The depth of a block only grows until it is read again, so the classes are runs of decode steps of last reads, and
/// each class has one step behind which it begins. Amortised O(classes) per change.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvplace::generate {

/// Class 0 holds what was read one step ago.
inline constexpr std::size_t kNumDepths = 38;

/// The least depth of a class as a multiple of the budget: 1, 1, 1 1/64, 1 1/32, ... 1.5, 1.75, 2, 2.5, 3, ... 27.
[[nodiscard]] double least_multiple(std::size_t depth_class);

class DepthClasses {
 public:
  /// A block not read for so many steps is in the last class, whatever its depth.
  static constexpr std::uint32_t kMostSteps = 1u << 14;

  /// `budget` is the unit of least_multiple.
  explicit DepthClasses(double budget);

  /// The block, last read in step `since`, is not read in the step after it.
  void leave(std::uint32_t block, std::uint32_t since) {
    Cohort& cohort = cohorts_[since % kMostSteps];
    cohort.blocks.push_back(block);
    ++cohort.size;
  }
  /// A block that left after step `since` is read again.
  void enter(std::uint32_t since) {
    Cohort& cohort = cohorts_[since % kMostSteps];
    if (since >= oldest_) {
      --cohort.size;
    }
    for (std::size_t i = 1; i < kNumDepths && begin_[i] > since; ++i) {
      ++depth_[i];
    }
  }
  /// A block is read for the first time.
  void enter_cold() {
    for (std::size_t i = 1; i < kNumDepths; ++i) {
      ++depth_[i];
    }
  }

  /// Before step `step` changes anything: calls `move(block, class)` for each block that comes into a deeper class.
  /// `is_outside(block, since)` says whether the block is still one that left after step `since`.
  template <class IsOutside, class Move>
  void advance(std::uint32_t step, IsOutside is_outside, Move move) {
    for (std::size_t i = 1; i < kNumDepths; ++i) {
      // What was read in step - 1 may not have left yet.
      while (begin_[i] + 1 < step) {
        Cohort& cohort = cohorts_[begin_[i] % kMostSteps];
        if (begin_[i] + kMostSteps > step + 1 && depth_[i] - cohort.size < least_[i]) {
          break;
        }
        const std::uint32_t since = begin_[i]++;
        depth_[i] -= cohort.size;
        std::erase_if(cohort.blocks, [&](std::uint32_t block) { return !is_outside(block, since); });
        for (const std::uint32_t block : cohort.blocks) {
          move(block, i);
        }
        if (i + 1 == kNumDepths) {
          cohort = {};
          oldest_ = begin_[i];
        }
      }
    }
  }

  /// Steps since the last read of the youngest block that a class may hold, before `step`.
  [[nodiscard]] std::uint32_t least_age(std::size_t depth_class, std::uint32_t step) const {
    return step - begin_[depth_class] + 1;
  }

 private:
  struct Cohort {
    std::vector<std::uint32_t> blocks;  ///< may hold outdated entries
    std::uint32_t size = 0;             ///< of those that are not
  };
  std::vector<Cohort> cohorts_;                    ///< by step of the last read, a ring
  std::array<std::uint32_t, kNumDepths> least_{};  ///< blocks
  std::array<std::uint32_t, kNumDepths> begin_{};  ///< the class holds blocks last read before this step
  std::array<std::uint32_t, kNumDepths> depth_{};  ///< blocks last read in it or later
  std::uint32_t oldest_ = 0;                       ///< cohorts before this step are forgotten
};

}  // namespace kvplace::generate
