#include "select/support/page_bounds.h"

#include <algorithm>

namespace kvplace {

void PageBounds::append(std::span<const float> keys) {
  keys_.insert(keys_.end(), keys.begin(), keys.end());
  std::vector<float> row(2 * dim_);
  const std::size_t whole_pages = keys_.size() / dim_ / page_tokens_;
  for (std::size_t page = pages_.size(); page < whole_pages; ++page) {
    bounds(page * page_tokens_, (page + 1) * page_tokens_, row);
    pages_.add(row);
  }
}

void PageBounds::bounds(std::size_t begin, std::size_t end, std::span<float> out) const {
  const std::span<float> most = out.first(dim_);
  const std::span<float> least = out.subspan(dim_);
  const auto first = keys_.begin() + static_cast<std::ptrdiff_t>(begin * dim_);
  std::copy_n(first, dim_, most.begin());
  std::copy_n(first, dim_, least.begin());
  for (std::size_t token = begin + 1; token < end; ++token) {
    for (std::size_t d = 0; d < dim_; ++d) {
      most[d] = std::max(most[d], keys_[token * dim_ + d]);
      least[d] = std::min(least[d], keys_[token * dim_ + d]);
    }
  }
}

void PageBounds::score(std::span<const BoundQuery> queries, float* out, std::size_t out_stride) const {
  PackedQueries packed(2 * dim_);
  std::size_t most_pages = 0;
  for (std::size_t r = 0; r < queries.size(); ++r) {
    for (std::size_t d = 0; d < dim_; ++d) {
      packed.at(r, d) = std::max(queries[r].values[d], 0.0F);
      packed.at(r, dim_ + d) = std::min(queries[r].values[d], 0.0F);
    }
    most_pages = std::max(most_pages, (std::size_t{queries[r].position} + 1) / page_tokens_);
  }
  std::vector<float> rows(kRows * padded(most_pages));
  dot_all(pages_, most_pages, packed, rows.data(), padded(most_pages));

  std::vector<float> partial(2 * dim_);
  std::vector<float> partial_scores(kRows * kLanes);
  for (std::size_t r = 0; r < queries.size(); ++r) {
    const std::size_t end = std::size_t{queries[r].position} + 1;
    const std::size_t whole = end / page_tokens_;
    float* row = out + r * out_stride;
    std::copy_n(rows.data() + r * padded(most_pages), whole, row);
    if (end % page_tokens_ != 0) {
      bounds(whole * page_tokens_, end, partial);
      PackedRows page(2 * dim_);
      page.add(partial);
      dot_all(page, 1, packed, partial_scores.data(), kLanes);
      row[whole] = partial_scores[r * kLanes];
    }
  }
}

}  // namespace kvplace
