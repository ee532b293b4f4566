// A cache takes the memory that it says, and no more: of its budget, and of the system.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "kvplace/runtime/tiered_cache.h"
#include "support/disk_dir.h"
#include "support/paper_machine.h"
#include "support/programs_memory.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kAlignment = 4096;

TieredCacheOptions long_context() {
  TieredCacheOptions options;
  options.shape = {8, 4, 128, 16, KvType::kBfloat16};
  options.layers = 2;
  options.most_tokens = 16384;  // 64 MiB
  options.quest = true;
  options.hardware = testing::paper_machine();
  options.policy = PolicyRegistry::instance().parse("kvplace").value();
  return options;
}

/// Fills the cache and decodes some tokens over all of it and over Quest's choice.
Status fill(TieredCache& cache, const TieredCacheOptions& options) {
  const std::size_t of_token = options.shape.kv_heads * options.shape.head_dim;
  constexpr std::uint32_t kTogether = 64;
  const std::vector<float> tokens(kTogether * of_token, 0.5F);
  const std::vector<float> queries(options.shape.query_heads * options.shape.head_dim, 0.1F);
  std::vector<float> out(queries.size());
  for (std::uint32_t token = 0; token < options.most_tokens; token += kTogether) {
    for (std::uint32_t l = 0; l < options.layers; ++l) {
      const LayerIndex layer(l);
      KVPLACE_TRY(cache.append(layer, 0, tokens, tokens));
      const bool is_last = token + kTogether == options.most_tokens;
      const std::vector<std::uint32_t> pages =
          is_last || !options.quest ? cache.select_all(layer, 0) : cache.select_quest(layer, 0, queries, 32);
      const RequestStep step{0, queries, pages, 0};
      KVPLACE_TRY(cache.attend(layer, {&step, 1}, {}, out));
    }
  }
  return cache.settle();
}

TEST(CacheMemory, IsWithinItsBudgetHoweverLongRequestsBecome) {
  TieredCacheOptions options = long_context();
  options.most_tokens = 2048;
  for (const bool quest : {false, true}) {
    for (const std::int64_t mib : {5, 9, 40}) {
      options.quest = quest;
      const Bytes budget(mib << 20);
      options.near_pages_capacity = TieredCache::pages_within(options, budget, kAlignment).value();
      const Bytes page = options.shape.page_bytes();
      TieredCache cache =
          TieredCache::make(options, make_dram_memory(TieredCache::far_capacity(options, kAlignment)).value()).value();
      ASSERT_TRUE(fill(cache, options));
      EXPECT_LE(cache.statistics().near_bytes, budget) << quest;
      // No page more would have had room.
      const std::int64_t all = std::int64_t{options.layers} * options.most_tokens / options.shape.page_tokens;
      if (options.near_pages_capacity < page * all) {
        EXPECT_GT(cache.statistics().near_bytes + page + Bytes(kAlignment), budget);
      }
    }
  }
}

TEST(CacheMemory, ABudgetForNoPageSaysWhatWouldDo) {
  const TieredCacheOptions options = long_context();
  const Result<Bytes> none = TieredCache::pages_within(options, Bytes(1 << 20), kAlignment);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::kBadInput);
  EXPECT_NE(none.error().message.find("hold no page of 32KiB"), std::string::npos) << none.error().message;
}

/// A line of /proc/self/status, in bytes.
std::int64_t of_process(const std::string& name) {
  std::ifstream status("/proc/self/status");
  std::string word;
  std::int64_t kib = 0;
  while (status >> word) {
    if (word == name + ":") {
      status >> kib;
    }
  }
  return kib * 1024;
}

TEST(CacheMemory, ThePeakOfTheProcessIsWhatItSays) {
  if (!testing::kMemoryIsTheProgramsOwn) {
    GTEST_SKIP() << "memory is not the program's own alone";
  }
  const testing::DiskDir folder;
  TieredCacheOptions options = long_context();
  const Bytes budget(std::int64_t{24} << 20);
  options.near_pages_capacity = TieredCache::pages_within(options, budget, kAlignment).value();
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak is counted anew
  const std::int64_t before = of_process("VmRSS");
  if (of_process("VmHWM") > before + (std::int64_t{16} << 20)) {
    GTEST_SKIP() << "the system does not count the peak anew";
  }
  TieredCache cache =
      TieredCache::make(
          options,
          make_file_memory({.path = folder.path("far")}, TieredCache::far_capacity(options, kAlignment)).value())
          .value();
  ASSERT_TRUE(fill(cache, options));
  EXPECT_LE(cache.statistics().near_bytes, budget);
  // Beside it: the policy's own tables, and huge pages that are rounded up. Far memory is of 64 MiB.
  EXPECT_LE(of_process("VmHWM") - before, budget.value() + (std::int64_t{8} << 20));
}

}  // namespace
}  // namespace kvplace
