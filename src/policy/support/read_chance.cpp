#include "policy/support/read_chance.h"

#include <algorithm>
#include <cmath>

namespace kvplace {
namespace {

constexpr float kLowest = -10;  // of the scores in the table
constexpr float kBinsPerUnit = 4;
constexpr float kFirstSamples = 10;  // as if seen before, read with the chance that the score itself stands for
constexpr float kFirstReads = 20;    // as if seen before with each trait, just as predicted
constexpr float kKept = 0.999F;      // of the counts, per step
constexpr std::uint32_t kRebuildSteps = 8;
constexpr float kLeastRise = 1e-3F;  // of the ln chance per bin, so that each chance has one score

float centre(std::size_t bin) { return kLowest + (static_cast<float>(bin) + 0.5F) / kBinsPerUnit; }

template <std::size_t n>
std::uint8_t bin_among(const std::array<double, n>& ends, double value) {
  return static_cast<std::uint8_t>(std::upper_bound(ends.begin(), ends.end(), value) - ends.begin());
}

}  // namespace

std::uint8_t rank_bin(double rank, double reads) {
  static constexpr std::array<double, 8> kEnds = {0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3};  // times what is read
  return bin_among(kEnds, rank / reads);
}

std::uint8_t recency_bin(std::uint32_t steps) {
  static constexpr std::array<double, 7> kEnds = {0.5, 1.5, 2.5, 4.5, 8.5, 16.5, 40.5};
  return bin_among(kEnds, steps);
}

std::uint8_t age_bin(std::uint32_t token, std::uint32_t newest_token) {
  constexpr std::uint32_t kSinks = 8;
  static constexpr std::array<double, 7> kEnds = {16, 64, 256, 1024, 2048, 4096, 8192};
  return token < kSinks ? 8 : bin_among(kEnds, newest_token - std::min(token, newest_token));
}

ReadChance::ReadChance() { rebuild(); }

float ReadChance::log_chance(float score, const BlockTraits& traits) const {
  const float at = std::clamp((score - kLowest) * kBinsPerUnit - 0.5F, 0.0F, static_cast<float>(kBins) - 1.001F);
  const auto bin = static_cast<std::size_t>(at);
  const float of_score = log_chance_[bin] + (log_chance_[bin + 1] - log_chance_[bin]) * (at - static_cast<float>(bin));
  return of_score + corrections_[0][traits.rank].log_factor + corrections_[1][traits.recency].log_factor +
         corrections_[2][traits.age].log_factor;
}

float ReadChance::surely_above(float log_chance) const {
  const auto above = std::lower_bound(log_chance_.begin(), log_chance_.end(), log_chance - least_correction_);
  const auto bin = static_cast<std::size_t>(above - log_chance_.begin());
  return bin == kBins ? 1e9F : centre(bin);
}

void ReadChance::begin_step(std::uint32_t step, std::span<const std::uint32_t> last_read) {
  open_ = step % kHorizon;
  for (const Sample& sample : pending_[open_]) {
    // It was taken kHorizon steps ago, when the last read could at most be step - kHorizon + 1.
    const float read = last_read[sample.block.value()] + kHorizon > step + 1 ? 1.0F : 0.0F;
    samples_[sample.score_bin] += 1;
    reads_[sample.score_bin] += read;
    const std::array<std::uint8_t, kTraits> bins = {sample.traits.rank, sample.traits.recency, sample.traits.age};
    for (std::size_t trait = 0; trait < kTraits; ++trait) {
      corrections_[trait][bins[trait]].predicted += sample.chance;
      corrections_[trait][bins[trait]].read += read;
    }
  }
  pending_[open_].clear();
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    samples_[bin] *= kKept;
    reads_[bin] *= kKept;
  }
  for (auto& trait : corrections_) {
    for (Correction& bin : trait) {
      bin.predicted *= kKept;
      bin.read *= kKept;
    }
  }
  if (++steps_ % kRebuildSteps == 0) {
    rebuild();
  }
}

void ReadChance::sample(BlockIndex block, float score, const BlockTraits& traits, float log_chance) {
  const auto bin =
      static_cast<std::uint32_t>(std::clamp((score - kLowest) * kBinsPerUnit, 0.0F, static_cast<float>(kBins) - 1));
  pending_[open_].push_back({block, bin, traits, std::min(1.0F, std::exp(log_chance))});
}

void ReadChance::rebuild() {
  float best = -1e9F;
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    const float prior = 1 / (1 + std::exp(-(centre(bin) - 0.5F)));
    best = std::max(best + kLeastRise,
                    std::log((reads_[bin] + kFirstSamples * prior) / (samples_[bin] + kFirstSamples) + 1e-6F));
    log_chance_[bin] = best;
  }
  least_correction_ = 0;
  for (auto& trait : corrections_) {
    float least = 1e9F;
    for (Correction& bin : trait) {
      bin.log_factor = std::log((bin.read + kFirstReads) / (bin.predicted + kFirstReads));
      least = std::min(least, bin.log_factor);
    }
    least_correction_ += least;
  }
}

}  // namespace kvplace
