#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kvplace/trace/statistics.h"
#include "kvplace/trace/writer.h"
#include "trace/stack_distance.h"

namespace kvplace {
namespace {

using Ids = std::vector<std::uint32_t>;

/// One layer of one decode step.
struct Record {
  Ids reads;
  Ids appended;
};

std::vector<BlockId> blocks(const Ids& ids) {
  std::vector<BlockId> result;
  for (const std::uint32_t id : ids) {
    result.emplace_back(id);
  }
  return result;
}

class Statistics : public ::testing::Test {
 protected:
  Statistics() : folder_(std::filesystem::temp_directory_path() / ("kvplace_statistics_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~Statistics() override { std::filesystem::remove_all(folder_); }

  /// A trace of `records`, by decode step, then by layer.
  Result<TraceReader> write(const TraceMeta& meta, const std::vector<Record>& records,
                            const TraceWriterOptions& options = {}) {
    const std::string path = (folder_ / "t.kvt").string();
    KVPLACE_ASSIGN(writer, TraceWriter::create(path, meta, options));
    for (std::size_t i = 0; i < records.size(); ++i) {
      const std::vector<BlockId> reads = blocks(records[i].reads);
      const std::vector<BlockId> appended = blocks(records[i].appended);
      StepView view;
      view.step = StepIndex(static_cast<std::uint32_t>(i / meta.layers));
      view.layer = LayerIndex(static_cast<std::uint32_t>(i % meta.layers));
      view.reads = reads;
      view.appended = appended;
      KVPLACE_TRY(writer.add(view));
    }
    KVPLACE_TRY(writer.finish());
    return TraceReader::open(path);
  }

  TraceStatistics measure(const TraceMeta& meta, const std::vector<Record>& records,
                          const TraceWriterOptions& options = {}, unsigned threads = 1) {
    const Result<TraceReader> trace = write(meta, records, options);
    EXPECT_TRUE(trace) << trace.error().message;
    RunContext context;
    context.threads = threads;
    const Result<TraceStatistics> statistics = compute_statistics(*trace, context);
    EXPECT_TRUE(statistics) << statistics.error().message;
    return *statistics;
  }

 private:
  std::filesystem::path folder_;
};

TraceMeta meta_of(std::uint32_t layers, std::uint32_t prompt_tokens, std::uint32_t block_tokens = 1) {
  TraceMeta meta;
  meta.layers = layers;
  meta.layout.prompt_tokens = prompt_tokens;
  meta.layout.block_tokens = block_tokens;
  return meta;
}

// The worked example of the formulation: an LRU list of 3 places misses 4 of 9 reads.
TEST_F(Statistics, OfTheWorkedExample) {
  const TraceStatistics s = measure(meta_of(1, 3), {{{0, 1, 3}, {3}}, {{1, 2, 4}, {4}}, {{0, 1, 5}, {5}}});
  EXPECT_DOUBLE_EQ(s.reads_per_step, 3);
  EXPECT_DOUBLE_EQ(s.overlap, 1.0 / 3);
  EXPECT_EQ(s.lru.capacity_blocks, (std::vector<std::uint64_t>{1, 3, 4, 6}));
  ASSERT_EQ(s.lru.miss_ratio.size(), 4u);
  EXPECT_DOUBLE_EQ(s.lru.miss_ratio[0], 6.0 / 9);
  EXPECT_DOUBLE_EQ(s.lru.miss_ratio[1], 4.0 / 9);
  EXPECT_DOUBLE_EQ(s.lru.miss_ratio[2], 4.0 / 9);
  EXPECT_DOUBLE_EQ(s.lru.miss_ratio[3], 3.0 / 9);
  EXPECT_EQ(s.reuse_distance_steps, (std::vector<std::uint64_t>{2, 1}));
  EXPECT_EQ(s.first_reads, 6u);
  ASSERT_EQ(s.working_set.size(), 1u);
  EXPECT_DOUBLE_EQ(s.working_set.at(1), 3);
  EXPECT_DOUBLE_EQ(s.density, (3.0 / 4 + 3.0 / 5 + 3.0 / 6) / 3);
  EXPECT_DOUBLE_EQ(s.recent_share, 1);
  EXPECT_DOUBLE_EQ(s.first_share, 7.0 / 9);
}

TEST_F(Statistics, PoolOneListOverLayersButMeasureEachAlone) {
  // Layer 0 reads one block over and over, layer 1 two in turn.
  std::vector<Record> records;
  for (std::uint32_t step = 0; step < 8; ++step) {
    records.push_back({{0}, {}});
    records.push_back({{step % 2}, {}});
  }
  const TraceStatistics s = measure(meta_of(2, 4), records);
  EXPECT_EQ(s.lru.capacity_blocks, (std::vector<std::uint64_t>{1, 2, 3, 4}));
  ASSERT_EQ(s.lru_by_layer.size(), 2u);
  EXPECT_DOUBLE_EQ(s.lru_by_layer[0].miss_ratio[0], 1.0 / 8);
  EXPECT_DOUBLE_EQ(s.lru_by_layer[1].miss_ratio[0], 1);
  EXPECT_DOUBLE_EQ(s.lru_by_layer[1].miss_ratio[1], 2.0 / 8);
  EXPECT_DOUBLE_EQ(s.lru.miss_ratio[0], 9.0 / 16);
  EXPECT_DOUBLE_EQ(s.lru.miss_ratio[1], 3.0 / 16);
  // Over all layers: 0.5 to 8 times 1 block in each of 2 layers, no more than the 8 blocks there are.
  EXPECT_EQ(s.lru_pooled.capacity_blocks, (std::vector<std::uint64_t>{1, 2, 3, 4, 6, 8}));
  EXPECT_DOUBLE_EQ(s.lru_pooled.miss_ratio[0], 1);
  EXPECT_DOUBLE_EQ(s.lru_pooled.miss_ratio[1], 9.0 / 16);
  EXPECT_DOUBLE_EQ(s.lru_pooled.miss_ratio[2], 3.0 / 16);
  EXPECT_DOUBLE_EQ(s.lru_pooled.miss_ratio[3], 3.0 / 16);
  EXPECT_EQ(s.overlap_by_layer, (std::vector<double>{1, 0}));
  EXPECT_DOUBLE_EQ(s.overlap, 0.5);
}

TEST_F(Statistics, OverlapLeavesOutEmptyStepsAndTheFirst) {
  const TraceStatistics s = measure(meta_of(1, 4), {{{0, 1}, {}}, {{1, 2}, {}}, {{}, {}}, {{1, 2, 3}, {}}});
  EXPECT_DOUBLE_EQ(s.overlap, (0.5 + 0) / 2);
  EXPECT_EQ(s.reuse_distance_steps, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_DOUBLE_EQ(s.density, (2.0 + 2.0 + 0 + 3.0) / 4 / 4);
}

TEST_F(Statistics, OfATraceWithoutReads) {
  const TraceStatistics s = measure(meta_of(2, 0), {{{}, {}}, {{}, {}}, {{}, {0}}, {{}, {}}});
  EXPECT_EQ(s.reads_per_step, 0);
  EXPECT_EQ(s.overlap_by_layer, (std::vector<double>{0, 0}));
  EXPECT_TRUE(s.lru.capacity_blocks.empty());
  EXPECT_TRUE(s.lru_pooled.capacity_blocks.empty());
  EXPECT_EQ(s.lru_by_layer.size(), 2u);
  EXPECT_TRUE(s.reuse_distance_steps.empty());
  EXPECT_EQ(s.working_set.at(1), 0);
  EXPECT_EQ(s.density, 0);
  EXPECT_EQ(s.recent_share, 0);
  EXPECT_EQ(s.first_share, 0);
}

TEST_F(Statistics, RareReadsStillHaveACapacity) {
  const TraceStatistics s = measure(meta_of(1, 2), {{{}, {}}, {{1}, {}}, {{}, {}}, {{}, {}}});
  EXPECT_EQ(s.lru.capacity_blocks, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_DOUBLE_EQ(s.lru.miss_ratio[0], 1);
}

TEST_F(Statistics, ABlockAppendedToAgainIsANearRead) {
  // Pages of 2 tokens: page 1 is appended to twice, and read in both steps and once more.
  const TraceStatistics s = measure(meta_of(1, 2, 2), {{{1}, {1}}, {{1}, {1}}, {{1}, {2}}});
  for (const double ratio : s.lru.miss_ratio) {
    EXPECT_EQ(ratio, 0);
  }
}

TEST_F(Statistics, RecentPagesFollowTheTokens) {
  // Pages of 16, 100 prompt tokens: with the 101st, the newest 64 are tokens 37 to 100, on pages 2 to 6. From the
  // 112th on they begin with token 48, the first of page 3.
  std::vector<Record> records;
  for (std::uint32_t token = 100; token < 113; ++token) {
    records.push_back({{0, 2, 3}, {token / 16}});
  }
  const TraceStatistics s = measure(meta_of(1, 100, 16), records);
  EXPECT_DOUBLE_EQ(s.recent_share, (11.0 * 2 + 2) / (13 * 3));
  EXPECT_DOUBLE_EQ(s.first_share, 1.0 / 3);
}

TEST_F(Statistics, RequestsHaveTheirOwnTokens) {
  TraceMeta meta = meta_of(1, 64);
  meta.layout.experts = 3;
  meta.layout.requests = 2;
  // Only the second request goes on, so that only its token 0 is no longer among the newest 64; experts do not count.
  const BlockLayout& layout = meta.layout;
  const std::uint32_t fresh = layout.page_block(64, 1).value();
  const Ids read{0,
                 2,
                 layout.page_block(0, 0).value(),
                 layout.page_block(0, 1).value(),
                 layout.page_block(1, 1).value(),
                 layout.page_block(4, 0).value(),
                 fresh};
  const TraceStatistics s = measure(meta, {{read, {fresh}}});
  EXPECT_DOUBLE_EQ(s.recent_share, 4.0 / 5);
  EXPECT_DOUBLE_EQ(s.first_share, 3.0 / 5);
  EXPECT_DOUBLE_EQ(s.density, 7.0 / (3 + 2 * 64 + 1));
}

TEST_F(Statistics, FirstPagesHoldFourTokens) {
  EXPECT_DOUBLE_EQ(measure(meta_of(1, 12, 1), {{{0, 3, 4, 5}, {}}}).first_share, 2.0 / 4);
  EXPECT_DOUBLE_EQ(measure(meta_of(1, 12, 2), {{{0, 1, 2, 3}, {}}}).first_share, 2.0 / 4);
  EXPECT_DOUBLE_EQ(measure(meta_of(1, 12, 3), {{{0, 1, 2, 3}, {}}}).first_share, 2.0 / 4);
  EXPECT_DOUBLE_EQ(measure(meta_of(1, 16, 4), {{{0, 1, 2, 3}, {}}}).first_share, 1.0 / 4);
}

/// Random reads of `num_blocks` prompt blocks; every block is read now and then, some often.
std::vector<Record> random_records(std::size_t count, std::uint32_t num_blocks, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Record> records(count);
  for (Record& record : records) {
    std::set<std::uint32_t> reads;
    for (auto i = random() % 6; i > 0; --i) {
      const auto id = static_cast<std::uint32_t>(random() % num_blocks);
      reads.insert(random() % 50 == 0 ? id : id % (num_blocks / 3 + 1));
    }
    record.reads.assign(reads.begin(), reads.end());
  }
  return records;
}

TEST_F(Statistics, WorkingSetsOfAllWindows) {
  constexpr std::size_t kSteps = 1300;
  const std::vector<Record> records = random_records(kSteps, 40, 1);
  const TraceStatistics s = measure(meta_of(1, 40), records);
  ASSERT_EQ(s.working_set.size(), 5u);
  for (const auto& [window, mean] : s.working_set) {
    std::uint64_t sum = 0;
    for (std::size_t start = 0; start + window <= kSteps; ++start) {
      std::set<std::uint32_t> distinct;
      for (std::size_t step = start; step < start + window; ++step) {
        distinct.insert(records[step].reads.begin(), records[step].reads.end());
      }
      sum += distinct.size();
    }
    EXPECT_DOUBLE_EQ(mean, static_cast<double>(sum) / static_cast<double>(kSteps - window + 1)) << window;
  }
}

TEST_F(Statistics, DoNotDependOnChunksOrThreads) {
  const std::vector<Record> records = random_records(3 * 200, 30, 2);
  const TraceMeta meta = meta_of(3, 30);
  const TraceStatistics whole = measure(meta, records);
  TraceWriterOptions small_chunks;
  small_chunks.chunk_bytes = 64;
  ASSERT_GT(write(meta, records, small_chunks)->num_chunks(), 3u);
  for (const unsigned threads : {1u, 4u}) {
    const TraceStatistics s = measure(meta, records, small_chunks, threads);
    EXPECT_EQ(s.overlap_by_layer, whole.overlap_by_layer);
    EXPECT_EQ(s.lru.miss_ratio, whole.lru.miss_ratio);
    EXPECT_EQ(s.lru_pooled.miss_ratio, whole.lru_pooled.miss_ratio);
    EXPECT_EQ(s.reuse_distance_steps, whole.reuse_distance_steps);
    EXPECT_EQ(s.working_set, whole.working_set);
    EXPECT_EQ(s.density, whole.density);
    EXPECT_EQ(s.recent_share, whole.recent_share);
  }
}

TEST_F(Statistics, StopOnRequest) {
  const Result<TraceReader> trace = write(meta_of(1, 4), {{{0}, {}}});
  ASSERT_TRUE(trace);
  Interrupt interrupt;
  interrupt.request();
  RunContext context;
  context.interrupt = &interrupt;
  const Result<TraceStatistics> statistics = compute_statistics(*trace, context);
  ASSERT_FALSE(statistics);
  EXPECT_EQ(statistics.error().kind, ErrorKind::kInterrupted);
}

TEST_F(Statistics, ReportProgressInReads) {
  struct Log : Progress {
    void start(std::string_view, std::uint64_t the_total, std::string_view) override { total = the_total; }
    void update(std::uint64_t now) override { done = now; }
    void finish() override { finished = true; }
    std::uint64_t total = 0;
    std::uint64_t done = 0;
    bool finished = false;
  };
  const Result<TraceReader> trace = write(meta_of(1, 4), {{{0, 1}, {}}, {{2}, {}}});
  ASSERT_TRUE(trace);
  Log log;
  RunContext context;
  context.progress = &log;
  ASSERT_TRUE(compute_statistics(*trace, context));
  EXPECT_EQ(log.total, 3u);
  EXPECT_EQ(log.done, 3u);
  EXPECT_TRUE(log.finished);
}

// Long enough that the slots of the list run out many times.
TEST(RecencyList, AgreesWithAPlainListWhenSlotsRunOut) {
  constexpr std::uint32_t kFirst = 7;
  constexpr std::uint32_t kBlocks = 90;
  RecencyList list(kFirst + kBlocks);
  Ids order;  // the most recent first
  std::map<std::size_t, std::uint64_t> distances;
  std::uint64_t cold = 0;
  std::uint64_t reads = 0;
  for (const Record& record : random_records(5000, kBlocks, 3)) {
    list.touch(blocks(record.reads), {}, kFirst);
    const Ids before = order;
    for (const std::uint32_t id : record.reads) {
      const auto at = std::find(before.begin(), before.end(), id);
      if (at == before.end()) {
        ++cold;
      } else {
        ++distances[static_cast<std::size_t>(at - before.begin())];
      }
      std::erase(order, id);
      order.insert(order.begin(), id);
    }
    reads += record.reads.size();
  }
  std::uint64_t misses = reads;
  for (std::uint64_t capacity = 0; capacity <= kBlocks; ++capacity) {
    EXPECT_EQ(list.distances().misses(capacity), misses) << capacity;
    misses -= distances[capacity];
  }
  EXPECT_EQ(list.distances().misses(kBlocks), cold);
}

TEST(RecencyList, TouchingEverythingAtOnceKeepsItsOrder) {
  Ids all(200);
  for (std::uint32_t i = 0; i < all.size(); ++i) {
    all[i] = i;
  }
  const std::vector<BlockId> every = blocks(all);
  RecencyList list(every.size());
  for (int round = 0; round < 5; ++round) {
    list.touch(every, {});
  }
  // Block i has 199 - i more recent ones; the first round is cold.
  for (std::uint64_t capacity = 0; capacity <= 200; ++capacity) {
    EXPECT_EQ(list.distances().misses(capacity), 200 + 4 * (200 - capacity)) << capacity;
  }
}

}  // namespace
}  // namespace kvplace
