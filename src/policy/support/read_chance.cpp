#include "policy/support/read_chance.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace kvplace {
namespace {

constexpr float kLowest = -10;  // of the scores in the table
constexpr float kBinsPerUnit = 4;
constexpr float kFirstSamples = 10;  // as if seen before, read with the chance that the score itself stands for
constexpr float kCommonSamples = 20;
constexpr float kFirstReads = 20;  // as if seen before with each trait, just as predicted
constexpr float kKept = 0.999F;    // of the counts, per step
constexpr std::uint32_t kRebuildSteps = 8;
// The least chance is kRareReads / (kRareSteps + steps since the last read).
constexpr float kRareReads = 0.3F;
constexpr float kRareSteps = 30;
constexpr float kRiseInPool = 1e-3F;  // of the ln chance per bin, so that scores within a pool keep their order

float centre(std::size_t bin) { return kLowest + (static_cast<float>(bin) + 0.5F) / kBinsPerUnit; }

/// ln of the least chance, by steps since the last read.
float log_rare_chance(std::uint32_t unread) {
  const auto of = [](std::uint32_t steps) { return std::log(kRareReads / (kRareSteps + static_cast<float>(steps))); };
  static const auto kTable = [&of] {
    std::array<float, 4096> table{};
    for (std::uint32_t steps = 0; steps < table.size(); ++steps) {
      table[steps] = of(steps);
    }
    return table;
  }();
  return unread < kTable.size() ? kTable[unread] : of(unread);
}

}  // namespace

std::uint8_t rank_bin(double rank, double reads) {
  static constexpr std::array<double, 8> kEnds = {0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3};  // times what is read
  return static_cast<std::uint8_t>(std::upper_bound(kEnds.begin(), kEnds.end(), rank / reads) - kEnds.begin());
}

std::uint8_t recency_bin(std::uint32_t steps) {
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

std::uint8_t age_bin(std::uint32_t token, std::uint32_t newest_token) {
  constexpr std::uint32_t kSinks = 8;
  constexpr std::uint8_t kSinkBin = 8;
  // Below 16, 64, 256, 1024, 2048, 4096, 8192 tokens, more: by the bits of the distance.
  static constexpr std::array<std::uint8_t, 33> kBins = {0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 7, 7,
                                                         7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};
  const std::uint32_t distance = newest_token - std::min(token, newest_token);
  return token < kSinks ? kSinkBin : kBins[static_cast<std::size_t>(std::bit_width(distance))];
}

void ScoreCounts::fade(float kept) {
  for (std::size_t bin = 0; bin < kScoreBins; ++bin) {
    samples[bin] *= kept;
    reads[bin] *= kept;
  }
}

ReadChance::ReadChance(ScoreCounts& common) : common_(&common) { rebuild(); }

float ReadChance::log_chance(float score, const BlockTraits& traits) const {
  const float at = std::clamp((score - kLowest) * kBinsPerUnit - 0.5F, 0.0F, static_cast<float>(kScoreBins) - 1.001F);
  const auto bin = static_cast<std::size_t>(at);
  const float of_score = log_chance_[bin] + (log_chance_[bin + 1] - log_chance_[bin]) * (at - static_cast<float>(bin));
  const float by_tables = of_score + corrections_[0][traits.rank].log_factor +
                          corrections_[1][traits.recency].log_factor + corrections_[2][traits.age].log_factor;
  return std::max(by_tables, log_rare_chance(traits.unread));
}

float ReadChance::surely_above(float log_chance) const {
  const auto above = std::lower_bound(log_chance_.begin(), log_chance_.end(), log_chance - least_correction_);
  const auto bin = static_cast<std::size_t>(above - log_chance_.begin());
  return bin == kScoreBins ? 1e9F : centre(bin);
}

void ReadChance::begin_step(std::uint32_t step, std::span<const std::uint32_t> last_read) {
  open_ = step % kHorizon;
  for (const Sample& sample : pending_[open_]) {
    // It was taken kHorizon steps ago, when the last read could at most be step - kHorizon + 1.
    const float read = last_read[sample.block.value()] + kHorizon > step + 1 ? 1.0F : 0.0F;
    for (ScoreCounts* counts : {&own_, common_}) {
      counts->samples[sample.score_bin] += 1;
      counts->reads[sample.score_bin] += read;
    }
    const std::array<std::uint8_t, kTraits> bins = {sample.traits.rank, sample.traits.recency, sample.traits.age};
    for (std::size_t trait = 0; trait < kTraits; ++trait) {
      // What the trait adds is what was read over what the rest alone foretells.
      Correction& bin = corrections_[trait][bins[trait]];
      bin.predicted += std::min(1.0F, std::exp(sample.log_chance - bin.log_factor));
      bin.read += read;
    }
  }
  pending_[open_].clear();
  own_.fade(kKept);
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
  const auto bin = static_cast<std::uint32_t>(
      std::clamp((score - kLowest) * kBinsPerUnit, 0.0F, static_cast<float>(kScoreBins) - 1));
  pending_[open_].push_back({block, bin, traits, log_chance});
}

void ReadChance::rebuild() {
  // Pools neighbours that are out of order, weighed by their samples, until chances rise with the score.
  struct Pool {
    float reads;
    float samples;
    std::size_t bins;
    [[nodiscard]] float chance() const { return reads / samples; }
  };
  std::array<Pool, kScoreBins> pools{};
  std::size_t num_pools = 0;
  for (std::size_t bin = 0; bin < kScoreBins; ++bin) {
    const float prior = 1 / (1 + std::exp(-(centre(bin) - 0.5F)));
    const float common = (common_->reads[bin] + kFirstSamples * prior) / (common_->samples[bin] + kFirstSamples);
    Pool pool{own_.reads[bin] + kCommonSamples * common, own_.samples[bin] + kCommonSamples, 1};
    while (num_pools > 0 && pools[num_pools - 1].chance() >= pool.chance()) {
      const Pool& below = pools[--num_pools];
      pool = {pool.reads + below.reads, pool.samples + below.samples, pool.bins + below.bins};
    }
    pools[num_pools++] = pool;
  }
  std::size_t next = 0;
  for (std::size_t i = 0; i < num_pools; ++i) {
    const float log_chance = std::log(pools[i].chance());
    for (std::size_t end = next + pools[i].bins; next < end; ++next) {
      log_chance_[next] = log_chance + kRiseInPool * static_cast<float>(next);
    }
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
