#include "select/support/token_scores.h"

#include <cmath>

namespace kvplace {

void TokenKeys::append(std::span<const float> keys, std::size_t tokens) {
  const std::size_t dim = shape_.head_dim;
  for (std::size_t head = 0; head < heads_.size(); ++head) {
    for (std::size_t token = 0; token < tokens; ++token) {
      heads_[head].add(keys.subspan((head * tokens + token) * dim, dim));
    }
  }
}

float softmax_numerators(float* row, std::size_t n, double scale) {
  return kernels().exp_sum(row, padded(n), kernels().max(row, padded(n)), static_cast<float>(scale));
}

void add_attention(const TokenKeys& keys, Sets sets, const StepTile& tile, ScoreTable& table) {
  const SelectorShape& shape = keys.shape();
  const double scale = shape.scale > 0 ? shape.scale : 1 / std::sqrt(static_cast<double>(shape.head_dim));
  table.reset(std::max(heads_of(sets, shape), 1U), tile.steps, padded(std::size_t{tile.first_position} + tile.steps));
  keys.for_each_row(tile, [&](std::uint32_t head, std::uint32_t step, float* row, std::size_t n) {
    const float sum = softmax_numerators(row, n, scale);
    kernels().add_scaled(table.row(list_of(sets, shape, head), step), row, padded(n), 1 / sum);
  });
}

void pool_blocks(const StepTile& tile, std::size_t lists, std::uint32_t block_tokens, Pool pool, ScoreTable& table) {
  if (block_tokens == 1) {
    return;
  }
  for (std::size_t list = 0; list < lists; ++list) {
    for (std::uint32_t step = 0; step < tile.steps; ++step) {
      float* row = table.row(list, step);
      const std::size_t tokens = std::size_t{tile.first_position} + step + 1;
      for (std::size_t begin = 0; begin < tokens; begin += block_tokens) {
        float score = row[begin];
        for (std::size_t token = begin + 1; token < std::min<std::size_t>(tokens, begin + block_tokens); ++token) {
          score = pool == Pool::kSum ? score + row[token] : std::max(score, row[token]);
        }
        row[begin / block_tokens] = score;
      }
    }
  }
}

}  // namespace kvplace
