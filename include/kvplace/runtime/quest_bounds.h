/// Quest's bounds of a page (Tang et al., ICML 2024): the least and the most of each number of its keys, from which
/// follows what a query's largest score in it can be at most. Kept near, whatever the pages are, and updated with each
/// token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kvplace/runtime/attention.h"

namespace kvplace {

/// Of the pages of one request in one layer.
class QuestBounds {
 public:
  explicit QuestBounds(const AttentionShape& shape) : shape_(shape) {}

  /// The next token's keys, [kv_heads][head_dim], as they are rounded in the page.
  void append(std::span<const float> keys);
  [[nodiscard]] std::uint32_t num_pages() const { return (tokens_ + shape_.page_tokens - 1) / shape_.page_tokens; }
  /// scores[p]: the sum over KV heads of the bound of the mean of the head's queries, as the selector `quest` has it.
  /// `queries`: [query_heads][head_dim]. REQUIRES: scores.size() == num_pages().
  void score(std::span<const float> queries, std::span<float> scores) const;
  [[nodiscard]] std::size_t bytes() const { return bounds_.capacity() * sizeof(float); }
  /// Of so many pages, reserved.
  [[nodiscard]] static std::size_t bytes_of(const AttentionShape& shape, std::uint32_t pages);
  void reserve(std::uint32_t pages) { bounds_.reserve(bytes_of(shape_, pages) / sizeof(float)); }

 private:
  AttentionShape shape_;
  std::uint32_t tokens_ = 0;
  std::vector<float> bounds_;  // [16 pages][kv_heads][2 * head_dim][16]: the most, then the least
};

/// The `count` pages of the highest scores, ascending; of equal ones the later. The last page, which the token at hand
/// is in, is always one of them. All if there are no more.
[[nodiscard]] std::vector<std::uint32_t> best_pages(std::span<const float> scores, std::size_t count);

}  // namespace kvplace
