#include "policy/support/read_chance.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace kvplace {
namespace {

constexpr float kFirstSamples = 10;  // as if seen before, read with the chance that the score itself stands for
constexpr float kCommonSamples = 20;
constexpr float kFirstReads = 20;  // as if seen before with each trait, just as predicted
constexpr float kKept = 0.999F;    // of the counts, per step
constexpr std::uint32_t kRebuildSteps = 8;
constexpr float kRiseInPool = 1e-3F;  // of the ln chance per bin, so that scores within a pool keep their order

float centre(std::size_t bin) { return kLowestScore + (static_cast<float>(bin) + 0.5F) / kScoreBinsPerUnit; }

}  // namespace

std::uint8_t rank_bin(double rank, double reads) {
  static constexpr std::array<double, 8> kEnds = {0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3};  // times what is read
  return static_cast<std::uint8_t>(std::upper_bound(kEnds.begin(), kEnds.end(), rank / reads) - kEnds.begin());
}

void ScoreCounts::fade(float kept) {
  for (std::size_t bin = 0; bin < kScoreBins; ++bin) {
    samples[bin] *= kept;
    reads[bin] *= kept;
  }
}

ReadChance::ReadChance(ScoreCounts& common) : common_(&common) { rebuild(); }

std::array<float, kRankBins> ReadChance::surely_above(float log_chance) const {
  std::array<float, kRankBins> scores{};
  for (std::size_t rank = 0; rank < kRankBins; ++rank) {
    const float of_score = log_chance - corrections_[0][rank].log_factor - least_correction_;
    const auto above = std::lower_bound(log_chance_.begin(), log_chance_.end(), of_score);
    const auto bin = static_cast<std::size_t>(above - log_chance_.begin());
    scores[rank] = bin == kScoreBins ? 1e9F : centre(bin);
  }
  return scores;
}

void ReadChance::begin_step(std::uint32_t step, std::span<const std::int32_t> last_read) {
  open_ = step % kHorizon;
  const auto first_read = static_cast<std::int32_t>(step + 2 - kHorizon);
  for (const Sample& sample : pending_[open_]) {
    // It was taken kHorizon steps ago, when the last read could at most be step - kHorizon + 1.
    const float read = last_read[sample.block.value()] >= first_read ? 1.0F : 0.0F;
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
      std::clamp((score - kLowestScore) * kScoreBinsPerUnit, 0.0F, static_cast<float>(kScoreBins) - 1));
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
  for (std::size_t trait = 0; trait < kTraits; ++trait) {
    float least = 1e9F;
    for (Correction& bin : corrections_[trait]) {
      bin.log_factor = std::log((bin.read + kFirstReads) / (bin.predicted + kFirstReads));
      least = std::min(least, bin.log_factor);
    }
    least_correction_ += trait == 0 ? 0 : least;
  }
}

}  // namespace kvplace
