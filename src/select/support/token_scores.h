/// Scores of all tokens that a query sees, for methods that score tokens and then blocks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "select/method.h"
#include "select/support/budget.h"
#include "select/support/packed_rows.h"

namespace kvplace {

/// The keys of one layer.
class TokenKeys {
 public:
  explicit TokenKeys(const SelectorShape& shape) : shape_(shape), heads_(shape.kv_heads, PackedRows(shape.head_dim)) {}

  [[nodiscard]] const SelectorShape& shape() const { return shape_; }

  /// As SelectMethod::append.
  void append(std::span<const float> keys, std::size_t tokens);

  /// Calls use(query_head, step, row, n) for each query of the tile, row being its dot products with the keys of the
  /// n = position + 1 tokens it sees, then -inf up to padded(n). The calls of one step come in order of head.
  template <class Use>
  void for_each_row(const StepTile& tile, Use use) const;

 private:
  SelectorShape shape_;
  std::vector<PackedRows> heads_;  // per KV head
};

/// Adds each query's attention, its softmax over the tokens it sees and its head's sink, to the row of its list. Resets
/// the table.
void add_attention(const TokenKeys& keys, Sets sets, const StepTile& tile, ScoreTable& table);

enum class Pool : std::uint8_t { kSum, kMax };
/// In each row of the table, scores of tokens become scores of blocks.
void pool_blocks(const StepTile& tile, std::size_t lists, std::uint32_t block_tokens, Pool pool, ScoreTable& table);

template <class Use>
void TokenKeys::for_each_row(const StepTile& tile, Use use) const {
  const std::uint32_t group = group_size(shape_);
  const std::size_t dim = shape_.head_dim;
  const std::size_t stride = padded(std::size_t{tile.first_position} + tile.steps);
  const auto rows = std::make_unique_for_overwrite<float[]>(kRows * stride);
  PackedQueries packed(dim);
  const std::uint32_t queries = tile.steps * group;
  for (std::uint32_t kv_head = 0; kv_head < shape_.kv_heads; ++kv_head) {
    for (std::uint32_t begin = 0; begin < queries; begin += kRows) {
      const std::uint32_t end = std::min<std::uint32_t>(queries, begin + kRows);
      packed.clear();
      for (std::uint32_t i = begin; i < end; ++i) {
        const std::size_t head = kv_head * group + i % group;
        const auto query = tile.queries.subspan((head * tile.steps + i / group) * dim, dim);
        for (std::size_t d = 0; d < dim; ++d) {
          packed.at(i - begin, d) = query[d];
        }
      }
      dot_all(heads_[kv_head], std::size_t{tile.first_position} + (end - 1) / group + 1, packed, rows.get(), stride);
      for (std::uint32_t i = begin; i < end; ++i) {
        float* row = rows.get() + (i - begin) * stride;
        const std::size_t n = std::size_t{tile.first_position} + i / group + 1;
        std::fill(row + n, row + padded(n), -std::numeric_limits<float>::infinity());
        use(kv_head * group + i % group, i / group, row, n);
      }
    }
  }
}

}  // namespace kvplace
