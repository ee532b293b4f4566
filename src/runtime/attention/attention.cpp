#include "kvplace/runtime/attention.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "runtime/attention/dispatch/attention_kernels.h"
#include "runtime/attention/number_formats.h"
#include "select/support/kernels.h"

namespace kvplace {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();
constexpr std::uint32_t kMostDim = 256;
constexpr std::uint32_t kMostPageTokens = 256;
constexpr std::uint32_t kMostHeads = 1024;
constexpr std::size_t kAheadBytes = 16384;  // from what is computed to what is fetched

/// The first if none has the name.
template <class Set>
const Set* named(std::span<const Set* const> all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Set* set) { return set->name == name; });
  return found != all.end() ? *found : all.front();
}

void put(KvType type, std::byte* at, float value) {
  if (type == KvType::kFloat32) {
    std::memcpy(at, &value, sizeof value);
  } else {
    const std::uint16_t bits = type == KvType::kBfloat16 ? to_bfloat16(value) : to_float16(value);
    std::memcpy(at, &bits, sizeof bits);
  }
}

float get(KvType type, const std::byte* at) {
  if (type == KvType::kFloat32) {
    float value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  std::uint16_t bits = 0;
  std::memcpy(&bits, at, sizeof bits);
  return type == KvType::kBfloat16 ? from_bfloat16(bits) : from_float16(bits);
}

/// Calls visit(place of a number in K, place of it in V, its index) for all numbers of a token.
template <class Visit>
void for_each_number(const AttentionShape& shape, std::uint32_t token, const Visit& visit) {
  const std::size_t size = bytes_of(shape.type);
  const std::size_t tile = token / kTileTokens;
  const std::size_t lane = token % kTileTokens;
  for (std::size_t head = 0; head < shape.kv_heads; ++head) {
    const std::size_t keys = (head * shape.page_tokens + tile * kTileTokens) * shape.head_dim + lane;
    const std::size_t values = (head * shape.page_tokens + token) * shape.head_dim;
    for (std::size_t d = 0; d < shape.head_dim; ++d) {
      visit((keys + d * kTileTokens) * size, shape.half_page_bytes() + (values + d) * size, head * shape.head_dim + d);
    }
  }
}

/// The tiles of a group's pages that have tokens that count, K of all pages and then V, in the order in which they lie.
struct Tile {
  const std::byte* data;  // of the page
  std::uint32_t kv_head;
  std::uint32_t offset;      // of the tile in its half of the page, in bytes
  std::uint32_t first_slot;  // of its tokens in the group
  std::uint32_t begin;       // tokens that count
  std::uint32_t end;
};

/// Calls visit for each tile, in order.
template <class Visit>
void for_each_tile(const AttentionShape& shape, std::span<const SelectedPage> pages, const Visit& visit) {
  const std::uint32_t tile_bytes = kTileTokens * shape.head_dim * bytes_of(shape.type);
  const std::uint32_t tiles = shape.page_tokens / kTileTokens;
  for (std::size_t page = 0; page < pages.size(); ++page) {
    const SelectedPage& selected = pages[page];
    if (selected.begin >= selected.end) {
      continue;
    }
    const std::uint32_t last = (selected.end - 1) / kTileTokens;
    for (std::uint32_t head = 0; head < shape.kv_heads; ++head) {
      for (std::uint32_t tile = selected.begin / kTileTokens; tile <= last; ++tile) {
        const std::uint32_t first = tile * kTileTokens;
        visit(Tile{selected.data, head, (head * tiles + tile) * tile_bytes,
                   static_cast<std::uint32_t>(page) * shape.page_tokens + first,
                   std::max(selected.begin, first) - first, std::min(selected.end - first, kTileTokens)});
      }
    }
  }
}

}  // namespace

Status check(const AttentionShape& shape) {
  const auto wrong = [](const std::string& what, std::uint32_t number, const std::string& range) {
    return bad_input("attention has no " + what + " of " + std::to_string(number) + "; it takes " + range);
  };
  if (shape.kv_heads < 1 || shape.kv_heads > kMostHeads) {
    return wrong("number of KV heads", shape.kv_heads, "1 to 1024");
  }
  if (shape.query_heads < 1 || shape.query_heads > kMostHeads || shape.query_heads % shape.kv_heads != 0) {
    return wrong("number of query heads", shape.query_heads,
                 "a multiple of the " + std::to_string(shape.kv_heads) + " KV heads, 1024 at most");
  }
  if (shape.head_dim < 1 || shape.head_dim > kMostDim || shape.head_dim % kTileTokens != 0) {
    return wrong("head size", shape.head_dim, "multiples of 16 to 256");
  }
  if (shape.page_tokens < 1 || shape.page_tokens > kMostPageTokens || shape.page_tokens % kTileTokens != 0) {
    return wrong("page size in tokens", shape.page_tokens, "multiples of 16 to 256");
  }
  return {};
}

void write_token(const AttentionShape& shape, std::byte* page, std::uint32_t token, std::span<const float> keys,
                 std::span<const float> values) {
  for_each_number(shape, token, [&](std::size_t key, std::size_t value, std::size_t i) {
    put(shape.type, page + key, keys[i]);
    put(shape.type, page + value, values[i]);
  });
}

void read_token(const AttentionShape& shape, const std::byte* page, std::uint32_t token, std::span<float> keys,
                std::span<float> values) {
  for_each_number(shape, token, [&](std::size_t key, std::size_t value, std::size_t i) {
    keys[i] = get(shape.type, page + key);
    values[i] = get(shape.type, page + value);
  });
}

DecodeAttention::DecodeAttention(const AttentionShape& shape, float scale, std::string_view kernels)
    : shape_(shape),
      scale_(scale),
      kernels_(named(all_attention_kernels(), kernels)),
      row_kernels_(named(all_kernels(), kernels)) {}

std::size_t DecodeAttention::bytes_of(const AttentionShape& shape, std::size_t num_pages) {
  const std::size_t groups = (num_pages + shape.pages_per_group() - 1) / shape.pages_per_group();
  return shape.query_heads * (shape.head_dim + groups * (shape.head_dim + 2)) * sizeof(float);
}

void DecodeAttention::start(std::span<const float> queries, std::size_t num_pages) {
  queries_.assign(queries.begin(), queries.end());
  num_pages_ = num_pages;
  num_groups_ = (num_pages + shape_.pages_per_group() - 1) / shape_.pages_per_group();
  const std::size_t rows = num_groups_ * shape_.query_heads;
  for (const auto& [kept, size] : {std::pair(&most_, rows), {&sums_, rows}, {&values_, rows * shape_.head_dim}}) {
    if (kept->size() < size) {
      kept->reserve(size);  // no more than bytes_of() says
      kept->resize(size);
    }
  }
}

void DecodeAttention::compute(std::size_t group, std::span<const SelectedPage> pages, const std::byte* next) {
  const std::size_t type = static_cast<std::size_t>(shape_.type);
  const std::size_t rows = shape_.queries_per_kv_head();
  const std::size_t dim = shape_.head_dim;
  const std::size_t slots = std::size_t{shape_.pages_per_group()} * shape_.page_tokens;
  pages = pages.subspan(first_page(group), end_page(group) - first_page(group));

  thread_local std::vector<float> scores;
  thread_local std::vector<Tile> tiles;
  scores.assign(shape_.query_heads * slots, kNone);
  tiles.clear();
  for_each_tile(shape_, pages, [](const Tile& tile) { tiles.push_back(tile); });

  const std::size_t tile_bytes = kTileTokens * dim * kvplace::bytes_of(shape_.type);
  const std::size_t ahead = std::max<std::size_t>(1, kAheadBytes / tile_bytes);
  const auto read_at = [&](std::size_t i) {  // K of all tiles, then V, then the page behind them
    const std::size_t half = i / tiles.size();
    const Tile& tile = tiles[i % tiles.size()];
    return half >= 2 && next != nullptr ? next + i % tiles.size() * tile_bytes
                                        : tile.data + half % 2 * shape_.half_page_bytes() + tile.offset;
  };
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    const Tile& tile = tiles[i];
    const std::byte* const then = read_at(i + ahead);
    kernels_->scores[type](tile.data + tile.offset, dim, queries_.data() + tile.kv_head * rows * dim, rows,
                           scores.data() + tile.kv_head * rows * slots + tile.first_slot, slots, then);
  }
  weigh(group, pages, scores.data());
  float* const values = values_.data() + group * shape_.query_heads * dim;
  std::fill_n(values, shape_.query_heads * dim, 0.0F);
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    const Tile& tile = tiles[i];
    const std::byte* const here = tile.data + shape_.half_page_bytes() + tile.offset;
    const std::byte* const then = read_at(tiles.size() + i + ahead);
    kernels_->values[type](here, dim, tile.begin, tile.end,
                           scores.data() + tile.kv_head * rows * slots + tile.first_slot, slots, rows,
                           values + tile.kv_head * rows * dim, then);
  }
}

/// Scores become weights, and the group gets its maxima and sums.
void DecodeAttention::weigh(std::size_t group, std::span<const SelectedPage> pages, float* scores) {
  const std::size_t slots = std::size_t{shape_.pages_per_group()} * shape_.page_tokens;
  for (std::size_t head = 0; head < shape_.query_heads; ++head) {
    float* const row = scores + head * slots;
    for (std::size_t page = 0; page < pages.size(); ++page) {
      float* const of_page = row + page * shape_.page_tokens;
      std::fill(of_page, of_page + std::min(pages[page].begin, shape_.page_tokens), kNone);
      std::fill(of_page + pages[page].end, of_page + shape_.page_tokens, kNone);
    }
    const float most = row_kernels_->max(row, slots);
    float& sum = sums_[group * shape_.query_heads + head];
    if (most == kNone) {
      std::fill_n(row, slots, 0.0F);
      sum = 0;
    } else {
      sum = row_kernels_->exp_sum(row, slots, most, scale_);
    }
    most_[group * shape_.query_heads + head] = most * scale_;
  }
}

void DecodeAttention::finish(std::span<const float> sinks, std::span<float> out) const {
  const std::size_t dim = shape_.head_dim;
  std::fill(out.begin(), out.end(), 0.0F);
  for (std::size_t head = 0; head < shape_.query_heads; ++head) {
    float most = sinks.empty() ? kNone : sinks[head];
    for (std::size_t group = 0; group < num_groups_; ++group) {
      most = std::max(most, most_[group * shape_.query_heads + head]);
    }
    if (most == kNone) {
      continue;
    }
    float sum = sinks.empty() ? 0.0F : std::exp(sinks[head] - most);
    float* const to = out.data() + head * dim;
    for (std::size_t group = 0; group < num_groups_; ++group) {
      const std::size_t row = group * shape_.query_heads + head;
      const float factor = std::exp(most_[row] - most);
      sum += factor * sums_[row];
      const float* const values = values_.data() + row * dim;
      for (std::size_t d = 0; d < dim; ++d) {
        to[d] += factor * values[d];
      }
    }
    for (std::size_t d = 0; d < dim; ++d) {
      to[d] /= sum;
    }
  }
}

std::uint64_t read_plainly(std::span<const std::byte> page, const std::byte* next) {
  return attention_kernels().read(page.data(), page.size(), next != nullptr ? next : page.data());
}

std::vector<std::string_view> attention_kernel_names() {
  std::vector<std::string_view> names;
  for (const AttentionKernels* kernels : all_attention_kernels()) {
    names.emplace_back(kernels->name);
  }
  return names;
}

}  // namespace kvplace
