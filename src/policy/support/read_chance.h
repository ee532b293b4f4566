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
#include "policy/support/dispatch/value_kernel.h"

namespace kvplace {

/// Bins of what is known of a block beside its score.
struct BlockTraits {
  std::uint8_t rank = 0;     ///< the selector's rank now, as a share of what is read
  std::uint8_t recency = 0;  ///< steps since the last read
  std::uint8_t age = 0;      ///< tokens since its own; the first tokens of a text have a bin of their own
  std::uint32_t unread = 0;  ///< steps since the last read, not as a bin
};
[[nodiscard]] std::uint8_t rank_bin(double rank, double reads);
constexpr std::size_t kRankBins = std::size_t{kUnranked} + 1;

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

constexpr std::uint8_t kSinkBin = 8;
/// By the bits of the distance in tokens.
[[nodiscard]] inline std::uint8_t age_bin_of_bits(std::size_t bits) {
  // Below 16, 64, 256, 1024, 2048, 4096, 8192 tokens, more.
  constexpr std::array<std::uint8_t, 15> kBins = {0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7};
  return kBins[std::min(bits, kBins.size() - 1)];
}
[[nodiscard]] inline std::uint8_t age_bin(std::uint32_t token, std::uint32_t newest_token) {
  const std::uint32_t distance = newest_token - std::min(token, newest_token);
  return token < kSinkTokens ? kSinkBin : age_bin_of_bits(static_cast<std::size_t>(std::bit_width(distance)));
}

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

  /// For the passes over many blocks, which find ln chances by dispatch/value_kernel.h.
  [[nodiscard]] const ChanceTables& tables() const { return tables_; }
  /// The same for one block, within 1e-4.
  [[nodiscard]] float log_chance(float score, const BlockTraits& traits) const;

  /// Begins a step: counts how the samples of kHorizon steps ago ended. `last_read` of a BlockIndex: decode step + 1 of
  /// its last read, with the step at hand; no later than its sample, if it was not read since.
  template <class LastRead>
  void begin_step(std::uint32_t step, const LastRead& last_read) {
    open_ = step % kHorizon;
    // The samples were taken kHorizon steps ago, when the last read could at most be step - kHorizon + 1.
    const auto first_read = static_cast<std::int32_t>(step + 2 - kHorizon);
    for (const Sample& sample : pending_[open_]) {
      learn(sample, last_read(sample.block) >= first_read);
    }
    fade_and_rebuild();
  }
  /// A block of the step at hand, as it is scored now.
  void sample(BlockIndex block, float score, const BlockTraits& traits, float log_chance);

 private:
  static constexpr std::size_t kTraits = 3;
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

  void learn(const Sample& sample, bool was_read);
  void fade_and_rebuild();
  void rebuild();
  /// Of the score, from all counts.
  void rebuild_chances();

  ScoreCounts own_;
  ScoreCounts* common_;
  ChanceTables tables_;
  std::array<std::array<Correction, kTraitBins>, kTraits> corrections_{};
  std::array<std::vector<Sample>, kHorizon> pending_;  // by decode step
  std::size_t open_ = 0;                               // of them, that of the step at hand
  std::uint32_t steps_ = 0;
};

}  // namespace kvplace
