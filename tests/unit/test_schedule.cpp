// Stored schedules: a policy's decisions, written and replayed, cost the same; others are rejected.
#include <gtest/gtest.h>

#include "kvplace/simulate/schedules.h"
#include "support/paper_machine.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

class StoredSchedule : public ::testing::Test {
 protected:
  StoredSchedule() {
    spec_.hardware = testing::paper_machine();
    spec_.options.near_blocks_per_layer = 10;
    path_ = testing::write_random_trace(folder_.path("t.kvt"), {});
    trace_.emplace(TraceReader::open(path_).value());
    schedule_ = folder_.path("s.kvs");
  }

  [[nodiscard]] Instance instance() const { return Instance::make(spec_, trace_->meta(), trace_->totals()).value(); }
  ReplayResult record(const std::string& policy) {
    return record_schedule(*trace_, instance(), PolicyRegistry::instance().parse(policy).value(), schedule_, {})
        .value();
  }
  [[nodiscard]] Result<ScheduleReplay> replayed() const { return replay_schedule(*trace_, schedule_, instance(), {}); }
  void expect_rejected(const std::string& why) const {
    const Result<ScheduleReplay> result = replayed();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::kRejected);
    EXPECT_NE(result.error().message.find(why), std::string::npos) << result.error().message;
  }

  testing::TempDir folder_;
  InstanceSpec spec_;
  std::string path_;
  std::optional<TraceReader> trace_;
  std::string schedule_;
};

TEST_F(StoredSchedule, CostsWhatThePolicyDid) {
  for (const std::string policy : {"lru", "belady-global", "page", "sa-guided", "static"}) {
    for (const auto& [mode, copies] :
         {std::pair(Mode::kInclusive, Copies::kStep), std::pair(Mode::kExclusive, Copies::kStep),
          std::pair(Mode::kInclusive, Copies::kBackground), std::pair(Mode::kExclusive, Copies::kBackground)}) {
      spec_.options.mode = mode;
      spec_.options.copies = copies;
      const ReplayResult recorded = record(policy);
      const ReplayResult again = replayed().value().result;
      EXPECT_EQ(again.total, recorded.total) << policy;
      EXPECT_EQ(again.far_reads, recorded.far_reads) << policy;
      EXPECT_EQ(again.promotions, recorded.promotions) << policy;
      EXPECT_EQ(again.evictions, recorded.evictions) << policy;
    }
  }
}

TEST_F(StoredSchedule, AFreeStartIsStoredToo) {
  spec_.options.start = Start::kFree;
  const Seconds recorded = record("belady-global").total;
  EXPECT_EQ(replayed().value().result.total, recorded);
  spec_.options.start = Start::kEmpty;
  expect_rejected("--start empty");
}

TEST_F(StoredSchedule, IsRejectedOnAnotherTraceOrInAnotherMode) {
  record("lru");
  spec_.options.mode = Mode::kExclusive;
  expect_rejected("--mode inclusive");
  spec_.options.mode = Mode::kInclusive;
  testing::RandomTraceShape other;
  other.seed = 9;
  trace_.emplace(TraceReader::open(testing::write_random_trace(folder_.path("other.kvt"), other)).value());
  expect_rejected("another trace");
}

TEST_F(StoredSchedule, IsRejectedUnderAnotherMigrationRule) {
  record("lru");
  spec_.options.copies = Copies::kBackground;
  expect_rejected("give --copies step");
  record("lru");
  spec_.options.copies = Copies::kStep;
  expect_rejected("give --copies background");
}

TEST_F(StoredSchedule, KeepsTheOrderInWhichPromotionsAreIssued) {
  const std::vector<BlockIndex> issued{BlockIndex(5), BlockIndex(2), BlockIndex(9), BlockIndex(0)};
  const std::vector<BlockIndex> none;
  for (const Copies copies : {Copies::kStep, Copies::kBackground}) {
    spec_.options.copies = copies;
    const ScheduleMeta meta = schedule_meta(instance(), trace_->totals().digest, "test");
    ScheduleWriter writer = ScheduleWriter::create(schedule_, meta).value();
    ASSERT_TRUE(writer.start(none));
    for (std::uint32_t step = 0; step < meta.steps * meta.layers; ++step) {
      ASSERT_TRUE(writer.add(step == 1 ? issued : none, none));
    }
    ASSERT_TRUE(writer.finish());
    ScheduleReader reader = ScheduleReader::open(schedule_).value();
    EXPECT_EQ(reader.meta().copies, copies);
    std::vector<BlockIndex> promote;
    std::vector<BlockIndex> evict;
    ASSERT_TRUE(reader.next(promote, evict));
    ASSERT_TRUE(reader.next(promote, evict));
    std::vector<BlockIndex> expected = issued;
    if (copies == Copies::kStep) {
      std::sort(expected.begin(), expected.end());
    }
    EXPECT_EQ(promote, expected);
  }
}

TEST_F(StoredSchedule, IsRejectedWhereItBreaksTheCapacity) {
  spec_.options.start = Start::kEmpty;
  record("lru");
  spec_.options.near_blocks_per_layer = 9;
  expect_rejected("the capacity is");
}

TEST_F(StoredSchedule, IsRejectedWhereABlockBothEntersAndLeaves) {
  const Instance wanted = instance();
  const std::vector<BlockIndex> near = wanted.initial_near();
  for (const bool swaps : {false, true}) {
    ScheduleWriter writer =
        ScheduleWriter::create(schedule_, schedule_meta(wanted, trace_->totals().digest, "test")).value();
    ASSERT_TRUE(writer.start(near));
    const std::vector<BlockIndex> moved{near.front()};
    for (std::uint32_t step = 0; step < wanted.steps() * wanted.layers(); ++step) {
      const bool moves = swaps && step == 4;
      ASSERT_TRUE(writer.add(moves ? moved : std::vector<BlockIndex>(), moves ? moved : std::vector<BlockIndex>()));
    }
    ASSERT_TRUE(writer.finish());
    if (!swaps) {
      EXPECT_TRUE(replayed());
    }
  }
  expect_rejected("decode step 1, layer 1: block " + std::to_string(near.front().value()) +
                  " is both evicted and promoted");
}

TEST_F(StoredSchedule, IsRejectedWhereverAByteIsFlippedOrTheEndIsCutOff) {
  record("lru");
  const std::string bytes = testing::TempDir::read(schedule_);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    folder_.write("s.kvs", flipped);
    EXPECT_FALSE(replayed()) << at;
    folder_.write("s.kvs", bytes.substr(0, at));
    EXPECT_FALSE(replayed()) << at;
  }
}

TEST_F(StoredSchedule, AnIdealHasNone) {
  const Result<ReplayResult> result =
      record_schedule(*trace_, instance(), PolicyRegistry::instance().parse("best-case").value(), schedule_, {});
  EXPECT_FALSE(result);
  EXPECT_FALSE(std::filesystem::exists(schedule_));
}

}  // namespace
}  // namespace kvplace
