#include "policy/support/value_slots.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace kvplace {
namespace {

// By ranks: what averages of x fall back to without a rank, how fast the peak fades, and the peak's floor.
constexpr float kRestOfAverage = -0.5F;
constexpr float kFade = 0.015F;
constexpr float kRestOfPeak = -0.3F;
constexpr float kReadsOfUnknown = 0.02F;
constexpr float kReadsOfNewborn = 0.3F;
constexpr float kInfinite = std::numeric_limits<float>::infinity();
constexpr std::size_t kFoundAtOnce = 4;  // of the lowest values; each costs a pass

/// What some steps leave of averages over so many.
struct Kept {
  float of_2;
  float of_5;
  float of_20;
  float of_100;
};

Kept kept_after(std::uint32_t steps) {
  const auto power = [](std::uint32_t exponent) {
    const auto n = static_cast<float>(exponent);
    return Kept{std::pow(0.5F, n), std::pow(0.8F, n), std::pow(0.95F, n), std::pow(0.99F, n)};
  };
  // Most of what comes back was not away for long.
  constexpr std::uint32_t kMostSteps = 256;
  static const std::vector<Kept> kTable = [&power] {
    std::vector<Kept> powers;
    for (std::uint32_t exponent = 0; exponent < kMostSteps; ++exponent) {
      powers.push_back(power(exponent));
    }
    return powers;
  }();
  return steps < kMostSteps ? kTable[steps] : power(steps);
}

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
  const Kept kept = kept_after(steps);
  if (scored_by == ScoredBy::kRanks) {
    history.first = kRestOfAverage + (history.first - kRestOfAverage) * kept.of_5;
    history.second = std::max(history.second - kFade * static_cast<float>(steps), kRestOfPeak);
  } else {
    history.first *= kept.of_2;
    history.second *= kept.of_5;
  }
  history.reads_20 *= kept.of_20;
  history.reads_100 *= kept.of_100;
  return history;
}

ValueSlots::ValueSlots(ScoredBy scored_by, bool with_frequency)
    : scored_by_(scored_by), frequency_(with_frequency), kernel_(value_kernels().front()) {
  grow();
}

void ValueSlots::grow() {
  capacity_ = std::max<std::size_t>(4 * kValueLanes, 2 * capacity_);
  blocks_.resize(capacity_);
  last_reads_.resize(capacity_);
  x_.resize(capacity_ + 1);
  for (auto* values : {&first_, &second_, &reads_20_, &reads_100_, &read_}) {
    values->resize(capacity_);
  }
  values_.resize(capacity_, kInfinite);
}

void ValueSlots::add(BlockIndex block, const BlockHistory& history, std::int32_t last_read) {
  if (size_ == capacity_) {
    grow();
  }
  blocks_[size_] = block;
  last_reads_[size_] = last_read;
  first_[size_] = history.first;
  second_[size_] = history.second;
  reads_20_[size_] = history.reads_20;
  reads_100_[size_] = history.reads_100;
  x_[size_] = 0;
  read_[size_] = 0;
  values_[size_] = kInfinite;
  ++size_;
}

void ValueSlots::remove(std::size_t slot) {
  --size_;
  const auto drop = [slot, last = size_](auto& values) { values[slot] = values[last]; };
  drop(blocks_);
  drop(last_reads_);
  for (auto* values : {&first_, &second_, &reads_20_, &reads_100_, &x_, &read_, &values_}) {
    drop(*values);
  }
  values_[size_] = kInfinite;
}

void ValueSlots::advance(std::int32_t now) {
  ValueBatch batch;
  batch.count = size_;
  batch.first = first_.data();
  batch.second = second_.data();
  batch.reads_20 = reads_20_.data();
  batch.reads_100 = reads_100_.data();
  batch.read = read_.data();
  batch.ranks = x_.data();
  batch.last_reads = last_reads_.data();
  batch.values = values_.data();
  batch.frequency = frequency_ ? 1.0F : 0.0F;
  batch.now = now;
  (scored_by_ == ScoredBy::kRanks ? kernel_.by_ranks : kernel_.by_reads)(batch);
  lowest_.clear();
}

void ValueSlots::set_value(std::size_t slot, float value) {
  const Candidate candidate{value, blocks_[slot]};
  if (lowest_.empty() || value > lowest_.front().value) {
    values_[slot] = value;
    return;
  }
  lowest_.insert(std::find_if(lowest_.begin(), lowest_.end(), [value](const Candidate& c) { return c.value <= value; }),
                 candidate);
}

float ValueSlots::least() {
  if (lowest_.empty()) {
    find_lowest();
  }
  return lowest_.empty() ? kInfinite : lowest_.back().value;
}

BlockIndex ValueSlots::take_least() {
  least();
  const BlockIndex block = lowest_.back().block;
  lowest_.pop_back();
  return block;
}

void ValueSlots::find_lowest() {
  std::array<PlacedValue, kFoundAtOnce> found{};
  const std::size_t count = kernel_.take_lowest(values_.data(), size_, kFoundAtOnce, found.data());
  for (std::size_t i = count; i-- > 0;) {
    lowest_.push_back({found[i].value, blocks_[found[i].place]});
  }
}

}  // namespace kvplace
