#include "policy/support/value_slots.h"

#include <algorithm>
#include <cmath>

#include "policy/support/fast_ln.h"

namespace kvplace {
namespace {

// By ranks: what averages of x fall back to without a rank, how fast the peak fades, and the peak's floor.
constexpr float kRestOfAverage = -0.5F;
constexpr float kFade = 0.015F;
constexpr float kRestOfPeak = -0.3F;
constexpr float kReadsOfUnknown = 0.02F;
constexpr float kReadsOfNewborn = 0.3F;

}  // namespace

float rank_value(double rank, double reads) {
  return static_cast<float>(-std::log2((rank + reads / 4) / (reads + reads / 4)));
}

BlockHistory unknown_history(ScoredBy scored_by) {
  return scored_by == ScoredBy::kRanks ? BlockHistory{kRestOfAverage, kRestOfPeak, kReadsOfUnknown, kReadsOfUnknown}
                                       : BlockHistory{0, 0, kReadsOfUnknown, kReadsOfUnknown};
}

BlockHistory newborn_history(ScoredBy scored_by, float x) {
  return scored_by == ScoredBy::kRanks ? BlockHistory{x, x, kReadsOfNewborn, kReadsOfNewborn}
                                       : BlockHistory{1, 1, kReadsOfNewborn, kReadsOfNewborn};
}

BlockHistory aged(ScoredBy scored_by, BlockHistory history, std::uint32_t steps) {
  const auto n = static_cast<float>(steps);
  if (scored_by == ScoredBy::kRanks) {
    history.first = kRestOfAverage + (history.first - kRestOfAverage) * std::pow(0.8F, n);
    history.second = std::max(history.second - kFade * n, kRestOfPeak);
  } else {
    history.first *= std::pow(0.5F, n);
    history.second *= std::pow(0.8F, n);
  }
  history.reads_20 *= std::pow(0.95F, n);
  history.reads_100 *= std::pow(0.99F, n);
  return history;
}

void ValueSlots::add(BlockIndex block, const BlockHistory& history, std::uint32_t token, std::int32_t last_read) {
  blocks_.push_back(block);
  tokens_.push_back(token);
  last_reads_.push_back(last_read);
  first_.push_back(history.first);
  second_.push_back(history.second);
  reads_20_.push_back(history.reads_20);
  reads_100_.push_back(history.reads_100);
  since_.push_back(1);
  x_.emplace_back();
  read_.push_back(0);
  scores_.push_back(0);
}

void ValueSlots::remove(std::size_t slot) {
  const auto drop = [slot](auto& values) {
    values[slot] = values.back();
    values.pop_back();
  };
  drop(blocks_);
  drop(tokens_);
  drop(last_reads_);
  drop(x_);
  for (auto* values : {&first_, &second_, &reads_20_, &reads_100_, &since_, &read_, &scores_}) {
    drop(*values);
  }
}

void ValueSlots::clear_marks(RankValue rank) {
  std::fill(x_.begin(), x_.end(), rank);
  std::fill(read_.begin(), read_.end(), 0.0F);
}

void ValueSlots::advance() {
  const std::size_t n = size();
  float* const __restrict first = first_.data();
  float* const __restrict second = second_.data();
  float* const __restrict reads_20 = reads_20_.data();
  float* const __restrict reads_100 = reads_100_.data();
  float* const __restrict since = since_.data();
  const RankValue* const __restrict ranks = x_.data();
  const float* const __restrict read = read_.data();
  float* const __restrict scores = scores_.data();
  const float frequency = frequency_ ? 1.0F : 0.0F;
  if (scored_by_ == ScoredBy::kRanks) {
    for (std::size_t i = 0; i < n; ++i) {
      const float x = ranks[i].x();
      first[i] += 0.2F * (x - first[i]);
      second[i] = std::max(second[i] - kFade, x);
      reads_20[i] += 0.05F * (read[i] - reads_20[i]);
      reads_100[i] += 0.01F * (read[i] - reads_100[i]);
      scores[i] = 0.482F * x + 0.625F * first[i] + 0.412F * second[i] +
                  frequency * (2.56F * reads_20[i] + 0.324F * fast_ln(reads_100[i] + 0.002F));
    }
  } else {
    for (std::size_t i = 0; i < n; ++i) {
      first[i] += 0.5F * (read[i] - first[i]);
      second[i] += 0.2F * (read[i] - second[i]);
      reads_20[i] += 0.05F * (read[i] - reads_20[i]);
      reads_100[i] += 0.01F * (read[i] - reads_100[i]);
      since[i] = (since[i] + 1) * (1 - read[i]);
      scores[i] = 0.657F * first[i] + 0.643F * second[i] - 0.276F * fast_ln(1 + since[i]) +
                  frequency * (2.394F * reads_20[i] + 0.535F * fast_ln(reads_100[i] + 0.002F));
    }
  }
}

}  // namespace kvplace
