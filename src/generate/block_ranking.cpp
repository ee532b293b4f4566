// The rankings of a block process.
#include <algorithm>
#include <bit>

#include "generate/block_process.h"

namespace kvplace::generate {

void BlockProcess::order_cells() {
  for (std::size_t i = 0; i < first_cold_; ++i) {
    ranked_cells_.push_back(i);
  }
  const auto value = [this](std::size_t cell) {
    if (cell < first_outside_) {
      return -model_.weights.leave[cell];
    }
    // What was read one step ago comes back as soon as it may.
    const std::size_t i = cell - first_outside_;
    return model_.weights.enter[i % outside_stride_ == 0 ? i + 1 : i];
  };
  const auto better = [&value](std::size_t a, std::size_t b) { return value(a) > value(b); };
  const auto middle = ranked_cells_.begin() + static_cast<std::ptrdiff_t>(first_outside_);
  std::stable_sort(ranked_cells_.begin(), middle, better);
  std::stable_sort(middle, ranked_cells_.end(), better);
  for (std::size_t cls = model_.classes.count; cls-- > 0;) {
    ranked_cells_.push_back(first_cold_ + cls);
  }
}

void BlockProcess::append_ranking(std::uint32_t depth, std::vector<BlockId>& out) {
  if (ranked_cells_.empty()) {
    order_cells();
  }
  const std::size_t end = out.size() + depth;
  for (std::size_t word = 0; word < bits_.size(); ++word) {
    for (std::uint64_t bits = bits_[word]; bits != 0; bits &= bits - 1) {
      const auto b = static_cast<std::uint32_t>(64 * word) + static_cast<std::uint32_t>(std::countr_zero(bits));
      if (blocks_[b].pins > 0) {
        out.emplace_back(range_.first + b);
      }
    }
  }
  for (const std::size_t cell : ranked_cells_) {
    for (const std::uint32_t b : cells_.members(cell)) {
      if (out.size() == end) {
        return;
      }
      out.emplace_back(range_.first + b);
    }
  }
}

}  // namespace kvplace::generate
