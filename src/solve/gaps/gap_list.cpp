#include "solve/gaps/gap_list.h"

#include <algorithm>
#include <cmath>

namespace kvplace {

std::vector<GapClass> list_gaps(const GapClasses& classes, double block_bytes) {
  std::vector<GapClass> gaps;
  gaps.reserve(classes.num_classes);
  const std::uint32_t layers = classes.layers;
  for (std::uint32_t layer = 0; layer < layers; ++layer) {
    const LayerGaps& of_layer = classes.by_layer[layer];
    const auto add = [&](std::uint32_t from, std::uint32_t to_step, float bytes, bool may_hold) {
      if (bytes > 0) {
        const auto blocks = static_cast<std::uint32_t>(std::lround(bytes / block_bytes));
        gaps.push_back({from, to_step * layers + layer, blocks, may_hold});
      }
    };
    for (const DenseGaps& dense : of_layer.dense) {
      for (std::uint32_t begin = 0; begin + dense.length < classes.steps; ++begin) {
        add(begin * layers + layer + 1, begin + dense.length, dense.bytes[begin], true);
      }
    }
    for (const SparseGaps& sparse : of_layer.sparse) {
      for (std::size_t i = sparse.first; i < sparse.first + sparse.count; ++i) {
        add(of_layer.begin[i] * layers + layer + 1, of_layer.begin[i] + sparse.length, of_layer.bytes[i], true);
      }
    }
    for (std::uint32_t step = 0; step < classes.steps; ++step) {
      add(0, step, of_layer.start_free[step], true);
      if (step + layer > 0) {  // what the first step reads of a given start is near: nothing to decide
        add(0, step, of_layer.start_near[step], true);
      }
      add(0, step, of_layer.start_far[step], false);
    }
  }
  std::sort(gaps.begin(), gaps.end(), [](const GapClass& a, const GapClass& b) {
    return a.to != b.to ? a.to < b.to : (a.from != b.from ? a.from < b.from : a.may_hold > b.may_hold);
  });
  return gaps;
}

std::size_t first_ending(const std::vector<GapClass>& gaps, std::uint32_t step) {
  return static_cast<std::size_t>(
      std::partition_point(gaps.begin(), gaps.end(), [step](const GapClass& gap) { return gap.to < step; }) -
      gaps.begin());
}

}  // namespace kvplace
