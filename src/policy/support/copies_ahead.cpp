#include "policy/support/copies_ahead.h"

#include <algorithm>

namespace kvplace {

void CopiesAhead::start(std::uint32_t layers) { layers_.assign(layers, {}); }

void CopiesAhead::begin_step(LayerIndex layer) {
  layers_[layer.value()].candidates.clear();
  layers_[layer.value()].taken = 0;
}

bool CopiesAhead::offer(LayerIndex layer, const Candidate& candidate) {
  std::vector<Candidate>& candidates = layers_[layer.value()].candidates;
  candidates.push_back(candidate);
  return candidates.size() < kCandidates;
}

void CopiesAhead::keep_best(LayerIndex layer) {
  std::vector<Candidate>& candidates = layers_[layer.value()].candidates;
  const auto kept = static_cast<std::ptrdiff_t>(std::min(candidates.size(), kCandidates));
  std::partial_sort(candidates.begin(), candidates.begin() + kept, candidates.end(),
                    [](const Candidate& a, const Candidate& b) {
                      return a.x != b.x ? a.x > b.x : a.block.value() < b.block.value();
                    });
  candidates.resize(static_cast<std::size_t>(kept));
}

std::optional<CopiesAhead::Candidate> CopiesAhead::take_best(const FarCost& far_cost) {
  Layer* best = nullptr;
  float best_score = 0;
  for (std::uint32_t l = 0; l < layers_.size(); ++l) {
    Layer& layer = layers_[l];
    if (layer.taken < layer.candidates.size() && far_cost.copies_pay(LayerIndex(l))) {
      const float score = layer.candidates[layer.taken].x + far_cost.log_worth(LayerIndex(l));
      if (best == nullptr || score > best_score) {
        best = &layer;
        best_score = score;
      }
    }
  }
  return best != nullptr ? std::optional(best->candidates[best->taken++]) : std::nullopt;
}

}  // namespace kvplace
