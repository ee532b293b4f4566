#include "simulate/told_reads.h"

#include <algorithm>

#include "policy/support/random_number.h"

namespace kvplace {

ToldReads::ToldReads(std::uint32_t horizon, double accuracy, std::uint64_t seed, std::uint32_t layers)
    : horizon_(horizon), accuracy_(accuracy), seed_(seed), layers_(layers) {
  if (accuracy_ < 1) {
    told_.resize((std::size_t{horizon} + 1) * layers);
  }
}

void ToldReads::move_to(const SegmentWindow& window, std::uint32_t now, std::span<const BlockId> ranking) {
  window_ = &window;
  now_ = now;
  ranking_ = ranking;
}

std::span<const BlockId> ToldReads::reads(StepIndex step, LayerIndex layer) const {
  if (step.value() < now_ || step.value() - now_ > horizon_) {
    return {};
  }
  const std::span<const BlockId> truth = window_->reads(step.value(), layer.value());
  if (told_.empty()) {
    return truth;
  }
  Told& told = told_[std::size_t{step.value() % (horizon_ + 1)} * layers_ + layer.value()];
  if (told.step_plus_1 != std::uint64_t{step.value()} + 1) {
    distort(truth, step.value(), layer.value(), told);
  }
  return told.reads;
}

void ToldReads::distort(std::span<const BlockId> reads, std::uint32_t step, std::uint32_t layer, Told& told) const {
  told.step_plus_1 = std::uint64_t{step} + 1;
  told.reads.clear();
  RandomNumber random((seed_ * 0x9e3779b97f4a7c15 + step) * 0xbf58476d1ce4e5b9 + layer);
  for (const BlockId id : reads) {
    if (random.unit() < accuracy_) {
      told.reads.push_back(id);
      continue;
    }
    // Another block up to the largest that is read; if the one drawn is read too, nothing is told in its stead.
    const BlockId other(random.below(reads.back().value() + 1));
    if (!std::binary_search(reads.begin(), reads.end(), other)) {
      told.reads.push_back(other);
    }
  }
  std::sort(told.reads.begin(), told.reads.end());
  told.reads.erase(std::unique(told.reads.begin(), told.reads.end()), told.reads.end());
}

}  // namespace kvplace
