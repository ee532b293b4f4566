/// Vectors of one length, stored for Kernels::dot: tiles of kLanes, transposed.
#pragma once

#include <span>
#include <vector>

#include "select/support/kernels.h"

namespace kvplace {

class PackedRows {
 public:
  PackedRows() = default;
  explicit PackedRows(std::size_t dim) : dim_(dim) {}

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t dim() const { return dim_; }

  /// REQUIRES: row.size() == dim().
  void add(std::span<const float> row) {
    if (size_ % kLanes == 0) {
      values_.resize(values_.size() + dim_ * kLanes, 0.0F);
    }
    float* column = values_.data() + size_ / kLanes * dim_ * kLanes + size_ % kLanes;
    for (std::size_t d = 0; d < dim_; ++d) {
      column[d * kLanes] = row[d];
    }
    ++size_;
  }

  /// The tiles from `tile` on. REQUIRES: tile * kLanes < size().
  [[nodiscard]] const float* tiles(std::size_t tile) const { return values_.data() + tile * dim_ * kLanes; }

 private:
  std::size_t dim_ = 0;
  std::size_t size_ = 0;
  std::vector<float> values_;
};

/// kRows queries, interleaved for Kernels::dot; rows not set are 0.
class PackedQueries {
 public:
  explicit PackedQueries(std::size_t dim) : values_(dim * kRows) {}

  void clear() { values_.assign(values_.size(), 0.0F); }
  /// REQUIRES: r < kRows.
  float& at(std::size_t r, std::size_t d) { return values_[d * kRows + r]; }
  [[nodiscard]] const float* data() const { return values_.data(); }

 private:
  std::vector<float> values_;
};

/// Dot products of kRows queries with the first `count` rows: scores of query r at out + r * stride, padded(count) of
/// them, in pieces of rows that stay in the cache.
inline void dot_all(const PackedRows& rows, std::size_t count, const PackedQueries& queries, float* out,
                    std::size_t stride) {
  if (count > 0) {
    kernels().dot(rows.tiles(0), padded(count) / kLanes, rows.dim(), queries.data(), out, stride);
  }
}

}  // namespace kvplace
