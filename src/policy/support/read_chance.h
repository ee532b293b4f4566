/// The chance that a block is read within the next few decode steps, from its score and three traits, through small
/// tables that each layer learns from what happened to blocks like it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kvplace/base/units.h"

namespace kvplace {

/// Bins of what is known of a block beside its score.
struct BlockTraits {
  std::uint8_t rank = 0;     ///< the selector's rank now, as a share of what is read
  std::uint8_t recency = 0;  ///< steps since the last read
  std::uint8_t age = 0;      ///< tokens since its own; the first tokens of a text have a bin of their own
  std::uint32_t unread = 0;  ///< steps since the last read, not as a bin
};
[[nodiscard]] std::uint8_t rank_bin(double rank, double reads);
[[nodiscard]] std::uint8_t recency_bin(std::uint32_t steps);
[[nodiscard]] std::uint8_t age_bin(std::uint32_t token, std::uint32_t newest_token);
/// Of a block that is not among the ranked.
constexpr std::uint8_t kUnranked = 9;

constexpr std::size_t kScoreBins = 64;

/// By bin of the score: how many samples there were, and how many of them were read.
struct ScoreCounts {
  std::array<float, kScoreBins> samples{};
  std::array<float, kScoreBins> reads{};
  void fade(float kept);
};

/// Counts fade, so that tables follow the text. Learned mostly from blocks near the threshold, where decisions fall.
/// ln chance = table of the score + one correction per trait. Where that is next to nothing the tables tell blocks
/// apart no more; then the one read last is the likeliest: a chance that falls with the steps since, as long gaps do.
class ReadChance {
 public:
  /// Decode steps within which a read counts.
  static constexpr std::uint32_t kHorizon = 3;

  /// `common`: counts of all layers, the first guess of each; outlives this.
  explicit ReadChance(ScoreCounts& common);

  [[nodiscard]] float log_chance(float score, const BlockTraits& traits) const;
  /// Every block with a higher score has at least this ln chance, whatever its traits.
  [[nodiscard]] float surely_above(float log_chance) const;

  /// Begins a step: counts how the samples of kHorizon steps ago ended. `last_read`: decode step + 1 of each block's
  /// last read, by BlockIndex, with the step at hand.
  void begin_step(std::uint32_t step, std::span<const std::uint32_t> last_read);
  /// A block of the step at hand, as it is scored now.
  void sample(BlockIndex block, float score, const BlockTraits& traits, float log_chance);

 private:
  static constexpr std::size_t kTraits = 3;
  static constexpr std::size_t kTraitBins = 10;

  struct Sample {
    BlockIndex block;
    std::uint32_t score_bin;
    BlockTraits traits;
    float log_chance;
  };
  /// Of one bin of a trait: reads as all but the trait predict, and as they were.
  struct Correction {
    float predicted = 0;
    float read = 0;
    float log_factor = 0;
  };

  void rebuild();

  ScoreCounts own_;
  ScoreCounts* common_;
  std::array<float, kScoreBins> log_chance_{};
  std::array<std::array<Correction, kTraitBins>, kTraits> corrections_{};
  float least_correction_ = 0;
  std::array<std::vector<Sample>, kHorizon> pending_;  // by decode step
  std::size_t open_ = 0;                               // of them, that of the step at hand
  std::uint32_t steps_ = 0;
};

}  // namespace kvplace
