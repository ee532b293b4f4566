// Attention over near pages beside plain loads of the same pages: random pages of a pool of 1 GiB, one thread,
// processor time. Before anything is timed a result is compared with double precision.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "checked.h"
#include "kvplace/runtime/attention.h"
#include "kvplace/runtime/memory.h"
#include "runtime/attention/dispatch/attention_kernels.h"
#include "support/naive_attention.h"

namespace kvplace {
namespace {

constexpr std::int64_t kPool = std::int64_t{1} << 30;
constexpr std::size_t kPages = 64;  // of a step
constexpr int kRuns = 7;

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Case {
  const char* name;
  AttentionShape shape;
};

class Bench {
 public:
  Bench(const Case& c, const AttentionKernels& kernels, std::byte* pool)
      : shape_(c.shape),
        page_bytes_(static_cast<std::size_t>(c.shape.page_bytes().value())),
        pool_(pool),
        kernels_(kernels),
        attention_(c.shape, 1 / std::sqrt(static_cast<float>(c.shape.head_dim)), kernels.name) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 1);
    queries_.resize(c.shape.query_heads * c.shape.head_dim);
    std::generate(queries_.begin(), queries_.end(), [&] { return normal(random); });
    std::vector<float> numbers(4096);
    std::generate(numbers.begin(), numbers.end(), [&] { return normal(random); });
    const std::size_t count = static_cast<std::size_t>(kPool) / page_bytes_;
    // One page of numbers, copied: what is read costs the same whatever it is.
    std::vector<float> keys(c.shape.kv_heads * c.shape.head_dim);
    for (std::uint32_t token = 0; token < c.shape.page_tokens; ++token) {
      for (std::size_t i = 0; i < keys.size(); ++i) {
        keys[i] = numbers[(i + token * 31) % numbers.size()];
      }
      write_token(c.shape, pool, token, keys, keys);
    }
    for (std::size_t page = 1; page < count; ++page) {
      std::memcpy(pool + page * page_bytes_, pool, page_bytes_);
    }
    order_.resize(count);
    for (std::size_t page = 0; page < count; ++page) {
      order_[page] = {pool + page * page_bytes_, 0, c.shape.page_tokens};
    }
    std::shuffle(order_.begin(), order_.end(), random);
  }

  void compare_with_double_precision() {
    std::vector<float> out(queries_.size());
    attend(std::span(order_).first(kPages), nullptr, out);
    const std::vector<double> expected = testing::naive_attention(shape_, queries_, std::span(order_).first(kPages),
                                                                  1 / std::sqrt(double(shape_.head_dim)), {});
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (std::abs(out[i] - expected[i]) > 1e-4) {
        std::fprintf(stderr, "attention disagrees with double precision: nothing is timed\n");
        std::exit(1);
      }
    }
  }

  /// Seconds for as many bytes as the pool has: of its pages, each once, or of a few again and again, which caches
  /// hold.
  double attention(bool in_cache) {
    constexpr std::size_t kFew = 4;
    std::vector<SelectedPage> few;
    for (std::size_t i = 0; i < kPages; ++i) {
      few.push_back(order_[i % kFew]);
    }
    std::vector<float> out(queries_.size());
    const double begin = processor_seconds();
    for (std::size_t first = 0; first + kPages <= order_.size(); first += kPages) {
      const std::byte* const then = first + kPages < order_.size() ? order_[first + kPages].data : nullptr;
      attend(in_cache ? few : std::span(order_).subspan(first, kPages), in_cache ? few[0].data : then, out);
    }
    return processor_seconds() - begin;
  }

  double plain_reading() {
    const double begin = processor_seconds();
    std::uint64_t sum = 0;
    const std::size_t count = order_.size() / kPages * kPages;
    for (std::size_t page = 0; page < count; ++page) {
      sum += kernels_.read(order_[page].data, page_bytes_, order_[page + 1 < count ? page + 1 : page].data);
    }
    sum_ = sum;
    return processor_seconds() - begin;
  }

  [[nodiscard]] double bytes() const {
    return static_cast<double>(order_.size() / kPages * kPages) * static_cast<double>(page_bytes_);
  }

 private:
  void attend(std::span<const SelectedPage> pages, const std::byte* then, std::span<float> out) {
    attention_.start(queries_, pages.size());
    for (std::size_t group = 0; group < attention_.num_groups(); ++group) {
      const std::size_t next = attention_.end_page(group);
      attention_.compute(group, pages, next < pages.size() ? pages[next].data : then);
    }
    attention_.finish({}, out);
  }

  AttentionShape shape_;
  std::size_t page_bytes_;
  std::byte* pool_;
  const AttentionKernels& kernels_;
  DecodeAttention attention_;
  std::vector<float> queries_;
  std::vector<SelectedPage> order_;
  volatile std::uint64_t sum_ = 0;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace
}  // namespace kvplace

int main() {
  using namespace kvplace;
  const MemoryPtr memory = checked(make_dram_memory(Bytes(kPool)));
  const Case cases[] = {
      {"fp32, head 64, 3:1", {9, 3, 64, 16, KvType::kFloat32}},
      {"fp32, head 128, 4:1", {32, 8, 128, 16, KvType::kFloat32}},
      {"bf16, head 64, 3:1", {9, 3, 64, 16, KvType::kBfloat16}},
      {"bf16, head 128, 4:1", {32, 8, 128, 16, KvType::kBfloat16}},
      {"bf16, head 128, 8:1", {64, 8, 128, 16, KvType::kBfloat16}},
      {"fp16, head 128, 4:1", {32, 8, 128, 16, KvType::kFloat16}},
  };
  std::printf("%zu random pages of 16 tokens a step, pool of 1 GiB, %d runs each, processor time of one thread\n",
              kPages, kRuns);
  std::printf("%-9s %-22s %14s %14s %28s %14s\n", "kernels", "KV", "attention", "plain loads",
              "share (median, least, most)", "from caches");
  for (const AttentionKernels* kernels : all_attention_kernels()) {
    for (const Case& c : cases) {
      Bench bench(c, *kernels, memory->address());
      bench.compare_with_double_precision();
      std::vector<double> attention;
      std::vector<double> plain;
      std::vector<double> shares;
      std::vector<double> in_cache;
      for (int run = 0; run < kRuns; ++run) {
        plain.push_back(bench.plain_reading());
        attention.push_back(bench.attention(false));
        in_cache.push_back(bench.attention(true));
        shares.push_back(plain.back() / attention.back());
      }
      std::printf("%-9s %-22s %9.2f GB/s %9.2f GB/s %10.1f %% %6.1f %% %6.1f %% %9.2f GB/s\n", kernels->name, c.name,
                  bench.bytes() / median(attention) * 1e-9, bench.bytes() / median(plain) * 1e-9, 100 * median(shares),
                  100 * *std::min_element(shares.begin(), shares.end()),
                  100 * *std::max_element(shares.begin(), shares.end()), bench.bytes() / median(in_cache) * 1e-9);
    }
  }
  return 0;
}
