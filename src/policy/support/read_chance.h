/// The chance that a block is read within the next few decode steps, from its score and three traits, through small
/// tables that each layer learns from what happened to blocks like it.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kvplace/base/units.h"
#include "policy/support/fast_ln.h"

namespace kvplace {

/// Bins of what is known of a block beside its score.
struct BlockTraits {
  std::uint8_t rank = 0;     ///< the selector's rank now, as a share of what is read
  std::uint8_t recency = 0;  ///< steps since the last read
  std::uint8_t age = 0;      ///< tokens since its own; the first tokens of a text have a bin of their own
  std::uint32_t unread = 0;  ///< steps since the last read, not as a bin
};
[[nodiscard]] std::uint8_t rank_bin(double rank, double reads);
/// Of a block that is not among the ranked.
constexpr std::uint8_t kUnranked = 9;
constexpr std::size_t kRankBins = 10;

[[nodiscard]] inline std::uint8_t recency_bin(std::uint32_t steps) {
  // 0, 1, 2, to 4, to 8, to 16, to 40, more.
  static constexpr auto kBins = [] {
    std::array<std::uint8_t, 42> bins{};
    for (std::uint32_t i = 0; i < bins.size(); ++i) {
      bins[i] = static_cast<std::uint8_t>(i < 3 ? i : i <= 4 ? 3 : i <= 8 ? 4 : i <= 16 ? 5 : i <= 40 ? 6 : 7);
    }
    return bins;
  }();
  return kBins[std::min<std::size_t>(steps, kBins.size() - 1)];
}

[[nodiscard]] inline std::uint8_t age_bin(std::uint32_t token, std::uint32_t newest_token) {
  constexpr std::uint32_t kSinks = 8;
  constexpr std::uint8_t kSinkBin = 8;
  // Below 16, 64, 256, 1024, 2048, 4096, 8192 tokens, more: by the bits of the distance.
  static constexpr std::array<std::uint8_t, 33> kBins = {0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 7, 7,
                                                         7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};
  const std::uint32_t distance = newest_token - std::min(token, newest_token);
  return token < kSinks ? kSinkBin : kBins[static_cast<std::size_t>(std::bit_width(distance))];
}

constexpr std::size_t kScoreBins = 64;
constexpr float kLowestScore = -10;
constexpr float kScoreBinsPerUnit = 4;

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
  /// By bin of the rank: every block with a higher score has at least this ln chance, whatever its other traits.
  [[nodiscard]] std::array<float, kRankBins> surely_above(float log_chance) const;

  /// Begins a step: counts how the samples of kHorizon steps ago ended. `last_read`: decode step + 1 of each block's
  /// last read, by BlockIndex, with the step at hand; no later than its sample, if it was not read since.
  void begin_step(std::uint32_t step, std::span<const std::int32_t> last_read);
  /// A block of the step at hand, as it is scored now.
  void sample(BlockIndex block, float score, const BlockTraits& traits, float log_chance);

 private:
  static constexpr std::size_t kTraits = 3;
  // The least chance is 0.3 / (kRareSteps + steps since the last read).
  static constexpr float kLogRareReads = -1.2039728F;
  static constexpr float kRareSteps = 30;
  static constexpr std::size_t kTraitBins = kRankBins;

  struct Sample {
    BlockIndex block;
    std::uint32_t score_bin = 0;
    BlockTraits traits;
    float log_chance = 0;
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
  float least_correction_ = 0;                         // of recency and age together
  std::array<std::vector<Sample>, kHorizon> pending_;  // by decode step
  std::size_t open_ = 0;                               // of them, that of the step at hand
  std::uint32_t steps_ = 0;
};

inline float ReadChance::log_chance(float score, const BlockTraits& traits) const {
  const float at =
      std::clamp((score - kLowestScore) * kScoreBinsPerUnit - 0.5F, 0.0F, static_cast<float>(kScoreBins) - 1.001F);
  const auto bin = static_cast<std::size_t>(at);
  const float of_score = log_chance_[bin] + (log_chance_[bin + 1] - log_chance_[bin]) * (at - static_cast<float>(bin));
  const float by_tables = of_score + corrections_[0][traits.rank].log_factor +
                          corrections_[1][traits.recency].log_factor + corrections_[2][traits.age].log_factor;
  return std::max(by_tables, kLogRareReads - fast_ln(kRareSteps + static_cast<float>(traits.unread)));
}

}  // namespace kvplace
