// The cache in two memories beside one that has all pages near, and beside copying first and then attending: what
// overlap hides. Each step reads 64 random pages of a long context, of which a share is far; far memory is paced, so
// that the link is the same in every run.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "checked.h"
#include "kvplace/runtime/tiered_cache.h"
#include "support/paper_machine.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kTokens = 16384;
constexpr std::uint32_t kSteps = 400;
constexpr std::size_t kPagesOfStep = 64;

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Whatever comes near first stays.
TieredCacheOptions options_of(double near_share) {
  TieredCacheOptions options;
  options.shape = {32, 8, 128, 16, KvType::kBfloat16};
  options.most_tokens = kTokens + 1;
  options.near_pages_capacity =
      options.shape.page_bytes() * static_cast<std::int64_t>(near_share * (kTokens / options.shape.page_tokens + 1));
  options.hardware = testing::paper_machine();
  options.policy = checked(PolicyRegistry::instance().parse("static"));
  return options;
}

class Bench {
 public:
  explicit Bench(double near_share, const char* far)
      : options_(options_of(near_share)),
        cache_(
            checked(TieredCache::make(options_, checked(make_memory(far, TieredCache::far_capacity(options_, 4096)))))),
        tokens_(64 * 1024),
        queries_(options_.shape.query_heads * options_.shape.head_dim, 0.01F),
        out_(queries_.size()) {
    std::mt19937 random(2);
    std::normal_distribution<float> normal(0, 1);
    std::generate(tokens_.begin(), tokens_.end(), [&] { return normal(random); });
    for (std::uint32_t first = 0; first < kTokens; first += 64) {
      checked(cache_.append(LayerIndex(0), 0, tokens_, tokens_));
      checked(cache_.attend(LayerIndex(0), {}, {}, {}));
    }
    checked(cache_.settle());
  }

  /// Seconds of a step.
  double run(const std::vector<std::vector<std::uint32_t>>& reads) {
    const double begin = now_s();
    for (const std::vector<std::uint32_t>& pages : reads) {
      const RequestStep step{0, queries_, pages, 0};
      checked(cache_.attend(LayerIndex(0), {&step, 1}, {}, out_));
    }
    return (now_s() - begin) / static_cast<double>(reads.size());
  }

  [[nodiscard]] CacheStatistics statistics() const { return cache_.statistics(); }

 private:
  TieredCacheOptions options_;
  TieredCache cache_;
  std::vector<float> tokens_;
  std::vector<float> queries_;
  std::vector<float> out_;
};

std::vector<std::vector<std::uint32_t>> random_reads(std::size_t count) {
  std::mt19937 random(3);
  std::vector<std::vector<std::uint32_t>> reads(kSteps);
  for (std::vector<std::uint32_t>& pages : reads) {
    while (pages.size() < count) {
      const auto page = static_cast<std::uint32_t>(random() % (kTokens / 16));
      if (std::find(pages.begin(), pages.end(), page) == pages.end()) {
        pages.push_back(page);
      }
    }
    std::sort(pages.begin(), pages.end());
  }
  return reads;
}

}  // namespace
}  // namespace kvplace

int main() {
  using namespace kvplace;
  const auto reads = random_reads(kPagesOfStep);
  Bench near(1, "dram");
  near.run(reads);
  const double all_near = near.run(reads);
  std::printf(
      "bf16, 32 query heads on 8 of 128, pages of 64 KiB, 64 a step of 1024, one thread: all near %.1f us a step\n",
      all_near * 1e6);
  std::printf("%-12s %6s %12s %12s %12s %14s %10s\n", "far", "near", "us a step", "near alone", "far alone",
              "of the longer", "policy");
  for (const char* far : {"paced:2GB/s", "paced:8GB/s"}) {
    for (const double share : {0.9, 0.75, 0.5}) {
      Bench both(share, far);
      both.run(reads);
      const CacheStatistics before = both.statistics();
      const double step = both.run(reads);
      const CacheStatistics after = both.statistics();
      const double far_share =
          static_cast<double>(after.far_reads - before.far_reads) / static_cast<double>(kSteps * kPagesOfStep);
      const double rate = std::string(far) == "paced:2GB/s" ? 2e9 : 8e9;
      const double far_alone = far_share * kPagesOfStep * 65536 / rate;
      std::printf("%-12s %5.0f%% %12.1f %12.1f %12.1f %13.1f%% %9.1f%%\n", far, 100 * (1 - far_share), step * 1e6,
                  all_near * 1e6, far_alone * 1e6, 100 * step / std::max(all_near, far_alone),
                  100 * (after.placing.value() - before.placing.value()) / (step * kSteps));
    }
  }
  return 0;
}
