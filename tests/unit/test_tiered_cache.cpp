// The cache's limits and its words for what is asked wrongly; Quest's bounds; far memory of every kind.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "kvplace/runtime/quest_bounds.h"
#include "kvplace/runtime/tiered_cache.h"
#include "support/cache_run.h"
#include "support/page_history.h"
#include "support/programs_memory.h"
#include "support/shuffled_memory.h"

namespace kvplace {
namespace {

TieredCacheOptions small_cache() {
  TieredCacheOptions options;
  options.shape = {6, 2, 32, 16, KvType::kBfloat16};
  options.layers = 2;
  options.requests = 2;
  options.most_tokens = 600;
  options.near_pages_capacity = options.shape.page_bytes() * std::int64_t{10};
  options.hardware = testing::paper_machine();
  options.policy = PolicyRegistry::instance().parse("lru").value();
  return options;
}

MemoryPtr far_of(const TieredCacheOptions& options, const std::string& text) {
  constexpr std::uint32_t kLargestAlignment = 4096;
  return make_memory(text, TieredCache::far_capacity(options, kLargestAlignment)).value();
}

TEST(TieredCache, GivesTheSameBitsWithEveryFarMemory) {
  const std::string file = (std::filesystem::current_path() / "kvplace-test-tiered").string();
  for (const std::string& far : {std::string("dram"), std::string("paced:1GB/s,latency=50us"), "file:" + file}) {
    for (const Mode mode : {Mode::kInclusive, Mode::kExclusive}) {
      TieredCacheOptions options = small_cache();
      options.mode = mode;
      testing::PageHistory history;
      options.watch = &history;
      TieredCache cache = TieredCache::make(options, far_of(options, far)).value();
      testing::CacheRun run(options, 3);
      ASSERT_EQ(run.step(cache, {500, 90}, true), "") << far;
      for (int step = 0; step < 40; ++step) {
        ASSERT_EQ(run.step(cache, {1, step % 3 == 0 ? 0U : 2U}, step % 2 == 0), "") << far << ", step " << step;
      }
      const CacheStatistics statistics = cache.statistics();
      EXPECT_EQ(statistics.steps, 41U * options.layers);
      EXPECT_GT(statistics.far_reads, 0U);
      EXPECT_GT(statistics.near_reads, 0U);
      EXPECT_EQ(history.broken(), "");
    }
  }
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST(TieredCache, SaysWhatIsAskedWrongly) {
  const TieredCacheOptions options = small_cache();
  TieredCache cache = TieredCache::make(options, far_of(options, "dram")).value();
  const std::vector<float> token(64);
  const std::vector<float> queries(192);
  std::vector<float> out(192);
  const std::vector<std::uint32_t> first{0};
  const std::vector<std::uint32_t> beyond{0, 1};
  EXPECT_FALSE(cache.append(LayerIndex(1), 0, token, token));  // layers come in order
  EXPECT_FALSE(cache.append(LayerIndex(0), 2, token, token));
  EXPECT_FALSE(cache.append(LayerIndex(0), 0, token, queries));
  EXPECT_FALSE(cache.append(LayerIndex(0), 0, std::vector<float>(64 * 601), std::vector<float>(64 * 601)));
  EXPECT_EQ(cache.num_tokens(LayerIndex(0), 0), 0U);
  ASSERT_TRUE(cache.append(LayerIndex(0), 0, token, token));
  const auto attend = [&](std::uint32_t request, std::span<const float> q, const std::vector<std::uint32_t>& pages) {
    const RequestStep step{request, q, pages, 0};
    const Status status = cache.attend(LayerIndex(0), {&step, 1}, {}, out);
    return status ? ErrorKind::kInterrupted : status.error().kind;
  };
  EXPECT_EQ(attend(2, queries, first), ErrorKind::kBadInput);
  EXPECT_EQ(attend(0, token, first), ErrorKind::kBadInput);
  EXPECT_EQ(attend(0, queries, beyond), ErrorKind::kBadInput);
  EXPECT_EQ(attend(0, queries, first), ErrorKind::kInterrupted);  // done: what was wrong changed nothing
  EXPECT_EQ(std::memcmp(out.data(), queries.data(), out.size() * sizeof(float)), 0);  // V is 0
}

TEST(TieredCache, ALongPromptGoesThroughFewFramesAndIsReadBack) {
  for (const KvType type : {KvType::kFloat32, KvType::kBfloat16}) {
    for (const Mode mode : {Mode::kInclusive, Mode::kExclusive}) {
      TieredCacheOptions options = small_cache();
      options.shape.type = type;
      options.mode = mode;
      options.near_pages_capacity = options.shape.page_bytes() * std::int64_t{3};
      options.staging_pages = 8;
      TieredCache cache = TieredCache::make(options, far_of(options, "paced:20GB/s")).value();
      constexpr std::size_t kTokens = 590;
      constexpr std::size_t kOfToken = 64;
      std::vector<float> keys(kTokens * kOfToken);
      std::vector<float> values(keys.size());
      for (std::size_t i = 0; i < keys.size(); ++i) {  // whole numbers that all types hold
        keys[i] = static_cast<float>(i % 251);
        values[i] = static_cast<float>(i % 127) - 63;
      }
      std::vector<float> read_keys(keys.size());
      std::vector<float> read_values(keys.size());
      for (std::uint32_t layer = 0; layer < options.layers; ++layer) {
        ASSERT_TRUE(cache.append(LayerIndex(layer), 1, keys, values));
        EXPECT_FALSE(cache.read(LayerIndex(layer), 1, read_keys, read_values));  // not placed yet
        ASSERT_TRUE(cache.attend(LayerIndex(layer), {}, {}, {}));
        ASSERT_TRUE(cache.read(LayerIndex(layer), 1, read_keys, read_values));
        EXPECT_EQ(read_keys, keys);
        EXPECT_EQ(read_values, values);
      }
      EXPECT_FALSE(cache.read(LayerIndex(0), 0, read_keys, read_values));  // of no tokens
    }
  }
}

TEST(TieredCache, FarMemoryThatIsTooSmallIsFull) {
  TieredCacheOptions options = small_cache();
  const Bytes page = options.shape.page_bytes();
  TieredCache cache = TieredCache::make(options, make_dram_memory(page * std::int64_t{5}).value()).value();
  testing::CacheRun run(options, 3);
  const std::string wrong = run.step(cache, {300, 0}, true);
  EXPECT_NE(wrong.find("give far memory more capacity"), std::string::npos) << wrong;
}

TEST(TieredCache, PoliciesThatKnowTheFutureAreRefused) {
  for (const char* policy : {"belady", "look-ahead:w=2", "best-case", "planned", "sa"}) {
    TieredCacheOptions options = small_cache();
    options.policy = PolicyRegistry::instance().parse(policy).value();
    const Result<TieredCache> cache = TieredCache::make(options, far_of(options, "dram"));
    ASSERT_FALSE(cache) << policy;
    EXPECT_NE(cache.error().message.find("what a running cache does not know"), std::string::npos);
  }
}

/// Resident memory of this process, in bytes.
std::int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t size = 0;
  std::int64_t resident = 0;
  file >> size >> resident;
  constexpr std::int64_t kSystemPageBytes = 4096;
  return resident * kSystemPageBytes;
}

TEST(TieredCache, TakesNoMoreMemoryThanItSays) {
  if (!testing::kMemoryIsTheProgramsOwn) {
    GTEST_SKIP() << "memory is not the program's own alone";
  }
  TieredCacheOptions options = small_cache();
  options.shape = {8, 8, 128, 16, KvType::kFloat32};
  options.requests = 1;
  options.most_tokens = 4000;
  options.near_pages_capacity = options.shape.page_bytes() * std::int64_t{60};
  options.quest = true;
  const std::string file = (std::filesystem::current_path() / "kvplace-test-resident").string();
  const std::int64_t before = resident_bytes();
  TieredCache cache = TieredCache::make(options, far_of(options, "file:" + file)).value();
  std::vector<float> tokens(64 * 1024);
  for (int chunk = 0; chunk < 60; ++chunk) {
    for (std::uint32_t layer = 0; layer < options.layers; ++layer) {
      ASSERT_TRUE(cache.append(LayerIndex(layer), 0, tokens, tokens));
      ASSERT_TRUE(cache.attend(LayerIndex(layer), {}, {}, {}));
    }
  }
  constexpr std::int64_t kSlack = 8 << 20;  // of the allocator, and of the program's own pages
  EXPECT_LE(resident_bytes() - before, cache.statistics().near_bytes.value() + kSlack);
  EXPECT_LT(cache.statistics().near_bytes.value(), 480 * options.shape.page_bytes().value() / 2);  // of the whole KV
}

TEST(QuestBounds, AreTheLargestScoreThatKeysOfThePageCouldGive) {
  const AttentionShape shape{6, 2, 32, 16, KvType::kFloat16};
  QuestBounds bounds(shape);
  std::mt19937 random(4);
  std::normal_distribution<float> normal(0, 1);
  constexpr std::uint32_t kTokens = 16 * 20 + 5;
  std::vector<std::byte> page(static_cast<std::size_t>(shape.page_bytes().value()));
  std::vector<std::vector<float>> keys;  // as they are rounded
  for (std::uint32_t token = 0; token < kTokens; ++token) {
    std::vector<float> key(64);
    std::generate(key.begin(), key.end(), [&] { return normal(random); });
    bounds.append(key);
    write_token(shape, page.data(), 0, key, key);
    keys.emplace_back(64);
    std::vector<float> values(64);
    read_token(shape, page.data(), 0, keys.back(), values);
  }
  std::vector<float> queries(192);
  std::generate(queries.begin(), queries.end(), [&] { return normal(random); });
  ASSERT_EQ(bounds.num_pages(), 21U);
  std::vector<float> scores(21);
  bounds.score(queries, scores);
  for (std::uint32_t p = 0; p < 21; ++p) {
    double expected = 0;
    for (std::size_t i = 0; i < 64; ++i) {
      const std::size_t first = i / 32 * 96 + i % 32;
      const double mean = (double{queries[first]} + queries[first + 32] + queries[first + 64]) / 3;
      double least = 1e9;
      double most = -1e9;
      for (std::uint32_t token = p * 16; token < std::min((p + 1) * 16, kTokens); ++token) {
        least = std::min(least, double{keys[token][i]});
        most = std::max(most, double{keys[token][i]});
      }
      expected += std::max(mean * least, mean * most);
    }
    EXPECT_NEAR(scores[p], expected, 1e-4);
  }
}

TEST(QuestBounds, TheBestPagesAreChosenAndTheLastIsAmongThem) {
  const std::vector<float> scores{3, 9, 1, 9, 2, 0};
  EXPECT_EQ(best_pages(scores, 1), (std::vector<std::uint32_t>{5}));
  EXPECT_EQ(best_pages(scores, 2), (std::vector<std::uint32_t>{3, 5}));
  EXPECT_EQ(best_pages(scores, 4), (std::vector<std::uint32_t>{0, 1, 3, 5}));
  EXPECT_EQ(best_pages(scores, 9).size(), 6U);
  EXPECT_TRUE(best_pages({}, 3).empty());
}

}  // namespace
}  // namespace kvplace
