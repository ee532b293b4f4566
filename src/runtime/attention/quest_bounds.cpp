#include "kvplace/runtime/quest_bounds.h"

#include <algorithm>
#include <numeric>

#include "runtime/attention/number_formats.h"
#include "select/support/packed_rows.h"

namespace kvplace {
namespace {

float rounded(KvType type, float value) {
  switch (type) {
    case KvType::kBfloat16:
      return from_bfloat16(to_bfloat16(value));
    case KvType::kFloat16:
      return from_float16(to_float16(value));
    case KvType::kFloat32:
      break;
  }
  return value;
}

}  // namespace

std::size_t QuestBounds::bytes_of(const AttentionShape& shape, std::uint32_t pages) {
  return padded(pages) * 2 * shape.kv_heads * shape.head_dim * sizeof(float);
}

void QuestBounds::append(std::span<const float> keys) {
  const std::size_t dim = shape_.head_dim;
  const std::size_t head_values = 2 * dim * kLanes;
  const std::size_t page = tokens_ / shape_.page_tokens;
  const bool is_first = tokens_ % shape_.page_tokens == 0;
  if (is_first && page % kLanes == 0) {
    bounds_.resize(bounds_.size() + shape_.kv_heads * head_values);
  }
  for (std::size_t head = 0; head < shape_.kv_heads; ++head) {
    float* const most = bounds_.data() + (page / kLanes * shape_.kv_heads + head) * head_values + page % kLanes;
    float* const least = most + dim * kLanes;
    for (std::size_t d = 0; d < dim; ++d) {
      const float key = rounded(shape_.type, keys[head * dim + d]);
      most[d * kLanes] = is_first ? key : std::max(most[d * kLanes], key);
      least[d * kLanes] = is_first ? key : std::min(least[d * kLanes], key);
    }
  }
  ++tokens_;
}

void QuestBounds::score(std::span<const float> queries, std::span<float> scores) const {
  const std::size_t dim = shape_.head_dim;
  const std::size_t group = shape_.queries_per_kv_head();
  const std::size_t tiles = padded(num_pages()) / kLanes;
  std::vector<float> of_head(kRows * kLanes);
  std::vector<float> sums(tiles * kLanes);
  std::vector<float> mean(dim);
  PackedQueries packed(2 * dim);
  for (std::size_t head = 0; head < shape_.kv_heads; ++head) {
    std::fill(mean.begin(), mean.end(), 0.0F);
    for (std::size_t query = head * group; query < (head + 1) * group; ++query) {
      std::transform(mean.begin(), mean.end(), queries.begin() + static_cast<std::ptrdiff_t>(query * dim), mean.begin(),
                     [](float a, float b) { return a + b; });
    }
    for (std::size_t d = 0; d < dim; ++d) {
      const float value = mean[d] / static_cast<float>(group);
      packed.at(0, d) = std::max(value, 0.0F);
      packed.at(0, dim + d) = std::min(value, 0.0F);
    }
    for (std::size_t tile = 0; tile < tiles; ++tile) {
      const float* const bounds = bounds_.data() + (tile * shape_.kv_heads + head) * 2 * dim * kLanes;
      kernels().dot(bounds, 1, 2 * dim, packed.data(), of_head.data(), kLanes);
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        sums[tile * kLanes + lane] += of_head[lane];
      }
    }
  }
  std::copy_n(sums.begin(), scores.size(), scores.begin());
}

std::vector<std::uint32_t> best_pages(std::span<const float> scores, std::size_t count) {
  std::vector<std::uint32_t> pages(scores.size());
  std::iota(pages.begin(), pages.end(), 0U);
  if (count >= pages.size() || pages.empty()) {
    return pages;
  }
  const std::uint32_t last = pages.back();
  const auto better = [&](std::uint32_t a, std::uint32_t b) {
    return a == last || (b != last && (scores[a] > scores[b] || (scores[a] == scores[b] && a > b)));
  };
  const auto end = pages.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(count, 1));
  std::nth_element(pages.begin(), end - 1, pages.end(), better);
  pages.erase(end, pages.end());
  std::sort(pages.begin(), pages.end());
  return pages;
}

}  // namespace kvplace
