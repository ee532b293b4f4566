/// Attention of one decode token over selected pages of KV, whose result is bit for bit the same wherever the pages
/// lie, in whatever order they arrive and on any number of threads.
///
/// The selected pages are divided into fixed groups of kGroupTokens tokens, in order of selection. A group is computed
/// once all its pages are there, for itself: scores, their maximum, exponentials and sum in order of the tokens, and
/// the weighted sum of V. Groups are merged in order. So groups wait for missing pages only, and which one was computed
/// first leaves no trace (the split of Flash-Decoding, Dao et al. 2023, with the parts fixed).
///
/// A page is [K: kv_heads][tokens / 16][head_dim][16] and behind it [V: kv_heads][tokens][head_dim]: K is transposed in
/// tiles of 16 tokens, so that scores of 16 tokens are computed at once without shuffles.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/units.h"

namespace kvplace {

struct AttentionKernels;
struct Kernels;

enum class KvType : std::uint8_t { kFloat32, kBfloat16, kFloat16 };

/// Bytes of a number.
[[nodiscard]] constexpr std::uint32_t bytes_of(KvType type) { return type == KvType::kFloat32 ? 4 : 2; }

inline constexpr std::uint32_t kTileTokens = 16;
/// Tokens of a group of whole pages; of a page that is larger, its own.
inline constexpr std::uint32_t kGroupTokens = 128;

struct AttentionShape {
  std::uint32_t query_heads = 0;  ///< a multiple of kv_heads: GQA, MHA and MQA
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;     ///< a multiple of 16, at most 256
  std::uint32_t page_tokens = 0;  ///< a multiple of 16, at most 256
  KvType type = KvType::kFloat32;

  [[nodiscard]] std::uint32_t queries_per_kv_head() const { return query_heads / kv_heads; }
  /// Of K, or of V.
  [[nodiscard]] std::uint32_t half_page_bytes() const { return kv_heads * page_tokens * head_dim * bytes_of(type); }
  [[nodiscard]] Bytes page_bytes() const { return Bytes(std::int64_t{2} * half_page_bytes()); }
  [[nodiscard]] std::uint32_t pages_per_group() const {
    return page_tokens >= kGroupTokens ? 1 : kGroupTokens / page_tokens;
  }

  bool operator==(const AttentionShape&) const = default;
};

/// Bad input if the kernels have no such shape; names the number and its range.
[[nodiscard]] Status check(const AttentionShape& shape);

/// Writes one token to its place in a page, rounded to the page's type (to nearest, ties to even). `keys`, `values`:
/// [kv_heads][head_dim].
void write_token(const AttentionShape& shape, std::byte* page, std::uint32_t token, std::span<const float> keys,
                 std::span<const float> values);
/// Reads it back. The same shapes.
void read_token(const AttentionShape& shape, const std::byte* page, std::uint32_t token, std::span<float> keys,
                std::span<float> values);

/// A page and which of its tokens count: [begin, end) of them; others need not have been written.
struct SelectedPage {
  const std::byte* data = nullptr;  ///< aligned to 64 bytes
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

/// One token of one request in one layer at a time. Usable again and again; allocates when it grows.
class DecodeAttention {
 public:
  /// REQUIRES: check(shape). `scale`: of q.k, most often head_dim^-0.5; more than 0. `kernels`: one of
  /// attention_kernel_names(), or empty for the first.
  DecodeAttention(const AttentionShape& shape, float scale, std::string_view kernels = {});

  /// Begins a token. `queries`: [query_heads][head_dim], copied. `num_pages`: selected.
  void start(std::span<const float> queries, std::size_t num_pages);

  [[nodiscard]] std::size_t num_groups() const { return num_groups_; }
  /// The group that the n-th selected page is in.
  [[nodiscard]] std::size_t group_of(std::size_t page) const { return page / shape_.pages_per_group(); }
  [[nodiscard]] std::size_t first_page(std::size_t group) const { return group * shape_.pages_per_group(); }
  [[nodiscard]] std::size_t end_page(std::size_t group) const {
    return std::min(num_pages_, (group + 1) * shape_.pages_per_group());
  }

  /// Computes a group, whose pages are there: pages[first_page(group)] to pages[end_page(group) - 1]. `next` is a page
  /// that is likely to be read after it, or null. Different groups may be computed by different threads at once.
  void compute(std::size_t group, std::span<const SelectedPage> pages, const std::byte* next = nullptr);

  /// Merges the groups, all of which have been computed. `sinks`: a logit per query head that takes its share of the
  /// softmax and gives nothing (gpt-oss), or empty. `out`: [query_heads][head_dim]; 0 where no token counts.
  void finish(std::span<const float> sinks, std::span<float> out) const;

  [[nodiscard]] const AttentionShape& shape() const { return shape_; }
  /// What it keeps for a token with so many selected pages.
  [[nodiscard]] static std::size_t bytes_of(const AttentionShape& shape, std::size_t num_pages);
  /// What it keeps by now.
  [[nodiscard]] std::size_t bytes() const {
    return (queries_.capacity() + most_.capacity() + sums_.capacity() + values_.capacity()) * sizeof(float);
  }

 private:
  void weigh(std::size_t group, std::span<const SelectedPage> pages, float* scores);

  AttentionShape shape_;
  float scale_;
  const AttentionKernels* kernels_;
  const Kernels* row_kernels_;
  std::size_t num_pages_ = 0;
  std::size_t num_groups_ = 0;
  std::vector<float> queries_;
  // Of each group.
  std::vector<float> most_;    // [groups][query_heads], scaled; -infinity: no token counts
  std::vector<float> sums_;    // [groups][query_heads]
  std::vector<float> values_;  // [groups][query_heads][head_dim]
};

/// Reads every byte of a page once, with plain loads of the same width as attention's: what attention is measured
/// against.
[[nodiscard]] std::uint64_t read_plainly(std::span<const std::byte> page, const std::byte* next = nullptr);

/// The instruction sets that attention has here, of "avx512", "avx2" and "portable"; the first is what is used.
[[nodiscard]] std::vector<std::string_view> attention_kernel_names();

}  // namespace kvplace
