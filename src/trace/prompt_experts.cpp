#include "trace/prompt_experts.h"

#include <algorithm>
#include <utility>

#include "trace/kvt_format.h"

namespace kvplace {

void PromptExperts::use(std::uint64_t layer, std::span<const std::uint32_t> experts) {
  if (layer >= kvt::kMostLayers) {
    return;  // refused where it is a decode step's
  }
  if (last_use_.size() <= layer) {
    last_use_.resize(layer + 1);
  }
  std::vector<std::uint64_t>& last_use = last_use_[layer];
  for (const std::uint32_t expert : experts) {
    if (expert >= kvt::kMostPromptExperts) {
      continue;
    }
    if (last_use.size() <= expert) {
      last_use.resize(expert + 1, 0);
    }
    last_use[expert] = ++uses_;
  }
}

std::vector<std::vector<std::uint32_t>> PromptExperts::lists(std::uint64_t first_layer, std::uint32_t layers) const {
  std::vector<std::vector<std::uint32_t>> lists(layers);
  std::size_t count = 0;
  for (std::uint32_t layer = 0; layer < layers && first_layer + layer < last_use_.size(); ++layer) {
    const std::vector<std::uint64_t>& last_use = last_use_[first_layer + layer];
    for (std::uint32_t expert = 0; expert < last_use.size(); ++expert) {
      if (last_use[expert] > 0) {
        lists[layer].push_back(expert);
      }
    }
    std::sort(lists[layer].begin(), lists[layer].end(),
              [&last_use](std::uint32_t a, std::uint32_t b) { return last_use[a] < last_use[b]; });
    count += lists[layer].size();
  }
  if (count == 0 || count > kvt::kMostPromptExperts) {
    lists.clear();
  }
  return lists;
}

}  // namespace kvplace
