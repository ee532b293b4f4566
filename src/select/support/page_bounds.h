/// Quest's upper bound of q.k over the keys of a page: sum over d of max(q_d * least_d, q_d * most_d).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "select/support/packed_rows.h"

namespace kvplace {

/// A query vector and the position whose past it looks at.
struct BoundQuery {
  std::span<const float> values;
  std::uint32_t position = 0;
};

/// The pages of one KV head. The bound is a dot product: of (max(q, 0), min(q, 0)) with (most, least).
class PageBounds {
 public:
  PageBounds(std::size_t dim, std::uint32_t page_tokens) : dim_(dim), page_tokens_(page_tokens), pages_(2 * dim) {}

  /// Keys of the next tokens, [tokens][dim].
  void append(std::span<const float> keys);

  /// Row r of `out`: the bounds of all pages that exist for queries[r], of its keys so far in the last one. A row must
  /// have room for padded(pages). REQUIRES: queries.size() <= kRows; the keys of all positions have been appended.
  void score(std::span<const BoundQuery> queries, float* out, std::size_t out_stride) const;

 private:
  /// (most, least) of the keys of [begin, end).
  void bounds(std::size_t begin, std::size_t end, std::span<float> out) const;

  std::size_t dim_;
  std::uint32_t page_tokens_;
  std::vector<float> keys_;  // [tokens][dim]
  PackedRows pages_;         // of whole pages
};

}  // namespace kvplace
