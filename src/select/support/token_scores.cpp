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

namespace {

/// Replaces dot products by scores, n of them; what is behind stays -inf.
void cap(float* row, std::size_t n, double scale, double softcap) {
  for (std::size_t i = 0; i < n; ++i) {
    row[i] = static_cast<float>(softcap * std::tanh(scale * static_cast<double>(row[i]) / softcap));
  }
}

}  // namespace

void add_attention(const TokenKeys& keys, Sets sets, const StepTile& tile, ScoreTable& table) {
  const SelectorShape& shape = keys.shape();
  const double scale = shape.scale > 0 ? shape.scale : 1 / std::sqrt(static_cast<double>(shape.head_dim));
  table.reset(std::max(heads_of(sets, shape), 1U), tile.steps, padded(std::size_t{tile.first_position} + tile.steps));
  keys.for_each_row(tile, [&](std::uint32_t head, std::uint32_t step, float* row, std::size_t n) {
    float factor = static_cast<float>(scale);
    if (shape.softcap > 0) {
      cap(row, n, scale, shape.softcap);
      factor = 1;
    }
    const float most = kernels().max(row, padded(n));
    float sum = kernels().exp_sum(row, padded(n), most, factor);
    if (!shape.sinks.empty()) {
      sum += std::exp(shape.sinks[head] - factor * most);
    }
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
