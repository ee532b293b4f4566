// The runtime's threads: those that compute attention, and the one that moves pages beside them.
#include <gtest/gtest.h>

#include <filesystem>

#include "support/cache_run.h"
#include "support/page_history.h"

namespace kvplace {
namespace {

void run_cache(const std::string& far, Copies copies, unsigned threads) {
  TieredCacheOptions options;
  options.shape = {6, 2, 32, 16, KvType::kBfloat16};
  options.layers = 2;
  options.requests = 3;
  options.most_tokens = 500;
  options.near_pages_capacity = options.shape.page_bytes() * std::int64_t{20};
  options.copies = copies;
  options.threads = threads;
  options.hardware = testing::paper_machine();
  options.policy = PolicyRegistry::instance().parse("lru").value();
  testing::PageHistory history;
  options.watch = &history;
  constexpr std::uint32_t kLargestAlignment = 4096;
  TieredCache cache =
      TieredCache::make(options, make_memory(far, TieredCache::far_capacity(options, kLargestAlignment)).value())
          .value();
  testing::CacheRun run(options, 5);
  ASSERT_EQ(run.step(cache, {300, 90, 10}, true), "");
  for (int step = 0; step < 30; ++step) {
    ASSERT_EQ(run.step(cache, {1, 1, 2}, step % 2 == 0), "") << far << ", step " << step;
  }
  EXPECT_EQ(history.broken(), "");
}

TEST(RuntimeThreads, CacheWithPacedMemory) {
  for (const Copies copies : {Copies::kStep, Copies::kBackground}) {
    for (const unsigned threads : {1U, 3U}) {
      run_cache("paced:2GB/s,latency=10us,piece=1us", copies, threads);
    }
  }
}

TEST(RuntimeThreads, CacheWithASlowDevice) { run_cache("paced:20MB/s,latency=5ms", Copies::kBackground, 2); }

TEST(RuntimeThreads, CacheWithAFile) {
  run_cache("file:" + (std::filesystem::current_path() / "kvplace-test-threads").string(), Copies::kBackground, 3);
}

}  // namespace
}  // namespace kvplace
