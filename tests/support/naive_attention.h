/// Attention in double precision, one token of KV after the other.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "kvplace/runtime/attention.h"

namespace kvplace::testing {

/// [query_heads][head_dim]; 0 where no token counts.
inline std::vector<double> naive_attention(const AttentionShape& shape, std::span<const float> queries,
                                           std::span<const SelectedPage> pages, double scale,
                                           std::span<const float> sinks) {
  const std::size_t dim = shape.head_dim;
  std::vector<double> out(shape.query_heads * dim);
  std::vector<float> keys(shape.kv_heads * dim);
  std::vector<float> values(shape.kv_heads * dim);
  for (std::size_t head = 0; head < shape.query_heads; ++head) {
    const std::size_t kv = head / shape.queries_per_kv_head() * dim;
    double most = sinks.empty() ? -std::numeric_limits<double>::infinity() : double{sinks[head]};
    double sum = sinks.empty() ? 0 : 1;
    for (const SelectedPage& page : pages) {
      for (std::uint32_t token = page.begin; token < page.end; ++token) {
        read_token(shape, page.data, token, keys, values);
        double score = 0;
        for (std::size_t d = 0; d < dim; ++d) {
          score += double{queries[head * dim + d]} * keys[kv + d];
        }
        score *= scale;
        const double raised = std::max(most, score);
        const double before = std::isinf(most) ? 0 : std::exp(most - raised);
        const double weight = std::exp(score - raised);
        most = raised;
        sum = sum * before + weight;
        for (std::size_t d = 0; d < dim; ++d) {
          out[head * dim + d] = out[head * dim + d] * before + weight * values[kv + d];
        }
      }
    }
    for (std::size_t d = 0; d < dim; ++d) {
      out[head * dim + d] = sum > 0 ? out[head * dim + d] / sum : 0;
    }
  }
  return out;
}

}  // namespace kvplace::testing
