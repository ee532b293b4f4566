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

/// The chance that a score itself stands for.
float prior(std::size_t bin) {
  static const std::array<float, kScoreBins> kPriors = [] {
    std::array<float, kScoreBins> chances{};
    for (std::size_t i = 0; i < kScoreBins; ++i) {
      const float centre = kLowestScore + (static_cast<float>(i) + 0.5F) / kScoreBinsPerUnit;
      chances[i] = 1 / (1 + std::exp(-(centre - 0.5F)));
    }
    return chances;
  }();
  return kPriors[bin];
}

float chance_of(float log_chance) { return log_chance >= 0 ? 1.0F : std::exp(log_chance); }

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

float ReadChance::log_chance(float score, const BlockTraits& traits) const {
  const float at =
      std::clamp((score - kLowestScore) * kScoreBinsPerUnit - 0.5F, 0.0F, static_cast<float>(kScoreBins) - 1.001F);
  const auto bin = static_cast<std::size_t>(at);
  float by_tables = tables_.of_score[bin] + tables_.rise[bin] * (at - static_cast<float>(bin));
  const std::array<std::uint8_t, kTraits> bins = {traits.rank, traits.recency, traits.age};
  for (std::size_t trait = 0; trait < kTraits; ++trait) {
    by_tables += corrections_[trait][bins[trait]].log_factor;
  }
  return std::max(by_tables, kLogRareReads - std::log(kRareSteps + static_cast<float>(traits.unread)));
}

void ReadChance::learn(const Sample& sample, bool was_read) {
  const float read = was_read ? 1.0F : 0.0F;
  for (ScoreCounts* counts : {&own_, common_}) {
    counts->samples[sample.score_bin] += 1;
    counts->reads[sample.score_bin] += read;
  }
  const std::array<std::uint8_t, kTraits> bins = {sample.traits.rank, sample.traits.recency, sample.traits.age};
  for (std::size_t trait = 0; trait < kTraits; ++trait) {
    // What the trait adds is what was read over what the rest alone foretells.
    Correction& bin = corrections_[trait][bins[trait]];
    bin.predicted += chance_of(sample.log_chance - bin.log_factor);
    bin.read += read;
  }
}

void ReadChance::fade_and_rebuild() {
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
  rebuild_chances();
  for (auto& trait : corrections_) {
    for (Correction& bin : trait) {
      bin.log_factor = std::log((bin.read + kFirstReads) / (bin.predicted + kFirstReads));
    }
  }
  for (std::size_t rank = 0; rank < kRankBins; ++rank) {
    tables_.of_rank[rank] = corrections_[0][rank].log_factor;
  }
  for (std::uint32_t unread = 0; unread <= kMostUnread; ++unread) {
    tables_.of_unread[unread] = corrections_[1][recency_bin(unread)].log_factor;
  }
  for (std::size_t bits = 0; bits <= kMostAgeBits; ++bits) {
    tables_.of_age[bits] = corrections_[2][age_bin_of_bits(bits)].log_factor;
  }
  tables_.of_age[kSinkAge] = corrections_[2][kSinkBin].log_factor;
}

void ReadChance::rebuild_chances() {
  // Pools neighbours that are out of order, weighed by their samples, until chances rise with the score.
  struct Pool {
    float reads;
    float samples;
    std::size_t bins;
    float chance;
  };
  std::array<Pool, kScoreBins> pools{};
  std::size_t num_pools = 0;
  for (std::size_t bin = 0; bin < kScoreBins; ++bin) {
    const float common = (common_->reads[bin] + kFirstSamples * prior(bin)) / (common_->samples[bin] + kFirstSamples);
    Pool pool{own_.reads[bin] + kCommonSamples * common, own_.samples[bin] + kCommonSamples, 1, 0};
    pool.chance = pool.reads / pool.samples;
    while (num_pools > 0 && pools[num_pools - 1].chance >= pool.chance) {
      const Pool& below = pools[--num_pools];
      pool = {pool.reads + below.reads, pool.samples + below.samples, pool.bins + below.bins, 0};
      pool.chance = pool.reads / pool.samples;
    }
    pools[num_pools++] = pool;
  }
  std::size_t next = 0;
  for (std::size_t i = 0; i < num_pools; ++i) {
    const float log_chance = std::log(pools[i].chance);
    for (std::size_t end = next + pools[i].bins; next < end; ++next) {
      tables_.of_score[next] = log_chance + kRiseInPool * static_cast<float>(next);
    }
  }
  for (std::size_t bin = 0; bin + 1 < kScoreBins; ++bin) {
    tables_.rise[bin] = tables_.of_score[bin + 1] - tables_.of_score[bin];
  }
}

}  // namespace kvplace
