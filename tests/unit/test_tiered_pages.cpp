// Pages in two memories, step by step: what moves, how often, and what happens where frames are scarce.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include "runtime/cache/tiered_pages.h"
#include "support/page_history.h"
#include "support/shuffled_memory.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kPageOfTest = 4096;

class TieredPagesTest : public ::testing::Test {
 protected:
  void make(TieredPagesOptions options) {
    options.num_blocks = 64;
    options.page_bytes = Bytes(kPageOfTest);
    options.watch = &history_;
    pages_ = TieredPages::make(options, make_dram_memory(TieredPages::near_capacity(options, 64)).value(),
                               std::make_unique<testing::ShuffledMemory>(Bytes(64 * (kPageOfTest + 4)), 64, 1))
                 .value();
  }

  /// Blocks [first, end) come to exist and are full; their bytes are their numbers.
  void fill(std::uint32_t first, std::uint32_t end) {
    for (std::uint32_t b = first; b < end; ++b) {
      std::memset(pages_->create(BlockIndex(b)).value(), static_cast<int>(b), kPageOfTest);
      ok(pages_->complete(BlockIndex(b)));
    }
  }

  static void ok(const Status& status) { ASSERT_TRUE(status) << status.error().message; }

  static std::vector<BlockIndex> blocks(std::uint32_t first, std::uint32_t end) {
    std::vector<BlockIndex> made;
    for (std::uint32_t b = first; b < end; ++b) {
      made.emplace_back(b);
    }
    return made;
  }

  /// Waits for all of them together, reads them, and lets them go.
  void read_together(const std::vector<BlockIndex>& group) {
    while (!std::all_of(group.begin(), group.end(), [&](BlockIndex b) { return pages_->resident(b) != nullptr; })) {
      ok(pages_->poll(true));
    }
    for (const BlockIndex block : group) {
      const std::byte* const page = pages_->resident(block);
      EXPECT_TRUE(std::all_of(page, page + kPageOfTest, [&](std::byte x) { return x == std::byte(block.value()); }));
      pages_->done_reading(block);
    }
  }

  testing::PageHistory history_;
  std::unique_ptr<TieredPages> pages_;
};

TEST_F(TieredPagesTest, FramesKeptByPromotionsAreGivenUpForReads) {
  make({.near_pages = 8, .filling_pages = 1, .staging_pages = 8});
  fill(0, 24);
  ok(pages_->begin_step({}, {blocks(0, 8), {}}));
  ok(pages_->end_step(true));
  EXPECT_EQ(pages_->num_near(), 8U);
  const std::uint64_t before = pages_->traffic().of(Moves::kPromote);
  // All that is near is evicted and read; what comes near is read, and more; each group needs pages of both sides.
  std::vector<BlockIndex> reads = blocks(8, 24);
  const std::vector<BlockIndex> near = blocks(0, 8);
  reads.insert(reads.end(), near.begin(), near.end());
  ok(pages_->begin_step(reads, {blocks(8, 16), near}));
  read_together(blocks(8, 16));
  for (std::uint32_t i = 0; i < 4; ++i) {
    read_together({BlockIndex(16 + 2 * i), BlockIndex(17 + 2 * i), BlockIndex(2 * i), BlockIndex(2 * i + 1)});
  }
  ok(pages_->end_step(true));
  EXPECT_EQ(pages_->num_near(), 8U);
  EXPECT_GT(pages_->traffic().of(Moves::kPromote), before);  // some came twice
  ok(pages_->begin_step(blocks(8, 16), {}));
  EXPECT_EQ(pages_->near_reads(), 8U + 8U);
  read_together(blocks(8, 16));
  ok(pages_->end_step(true));
  EXPECT_EQ(history_.broken(), "");
}

TEST_F(TieredPagesTest, WhatIsReadAndPromotedMovesOnce) {
  for (const Mode mode : {Mode::kInclusive, Mode::kExclusive}) {
    make({.near_pages = 4, .filling_pages = 1, .staging_pages = 8, .mode = mode});
    fill(0, 8);
    ok(pages_->settle());
    ok(pages_->begin_step(blocks(0, 4), {blocks(0, 4), {}}));
    read_together(blocks(0, 4));
    ok(pages_->end_step(true));
    EXPECT_EQ(pages_->traffic().of(Moves::kRead), 4U);
    EXPECT_EQ(pages_->traffic().of(Moves::kPromote), 0U);
    EXPECT_EQ(pages_->traffic().of(Moves::kNewKv), 8U);
    ok(pages_->begin_step(blocks(4, 6), {blocks(4, 6), blocks(0, 2)}));
    read_together(blocks(4, 6));
    ok(pages_->end_step(true));
    EXPECT_EQ(pages_->traffic().of(Moves::kDemote), mode == Mode::kExclusive ? 2U : 0U);
    ok(pages_->begin_step(blocks(0, 8), {}));
    read_together(blocks(0, 8));
    ok(pages_->end_step(true));
    EXPECT_EQ(pages_->near_reads(), 4U);
    EXPECT_EQ(pages_->far_reads(), 4U + 2U + 4U);
    EXPECT_EQ(history_.broken(), "");
    history_ = {};
  }
}

TEST_F(TieredPagesTest, BackgroundCopiesWaitForDemandAndOneEvictedOnItsWayIsGivenUp) {
  make({.near_pages = 8, .filling_pages = 1, .staging_pages = 8, .copies = Copies::kBackground});
  fill(0, 20);
  ok(pages_->settle());
  ok(pages_->begin_step(blocks(10, 12), {blocks(0, 8), {}}));
  EXPECT_EQ(pages_->traffic().of(Moves::kPromoteIdle), 0U);  // two reads come first
  read_together(blocks(10, 12));
  ok(pages_->end_step(true));
  ok(pages_->begin_step(blocks(0, 8), {{}, blocks(4, 8)}));  // read as a whole: near from now on
  read_together(blocks(0, 8));
  ok(pages_->end_step(true));
  ok(pages_->settle());
  EXPECT_EQ(pages_->num_near(), 4U);
  ok(pages_->begin_step(blocks(0, 4), {}));
  const std::uint64_t before = pages_->near_reads();
  read_together(blocks(0, 4));
  ok(pages_->end_step(true));
  EXPECT_GE(before, 4U);
  EXPECT_EQ(history_.broken(), "");
  EXPECT_EQ(history_.num_in_use(), 0U);
}

TEST_F(TieredPagesTest, RulesThatADecisionBreaksAreErrors) {
  make({.near_pages = 2, .filling_pages = 1, .staging_pages = 8});
  fill(0, 4);
  EXPECT_FALSE(pages_->begin_step({}, {blocks(0, 3), {}}));  // more than fits
  make({.near_pages = 2, .filling_pages = 1, .staging_pages = 8});
  fill(0, 4);
  EXPECT_FALSE(pages_->begin_step({}, {{}, blocks(0, 1)}));   // not near
  EXPECT_FALSE(pages_->begin_step({}, {blocks(9, 10), {}}));  // does not exist
  EXPECT_FALSE(pages_->begin_step(blocks(9, 10), {}));
  EXPECT_FALSE(pages_->create(BlockIndex(0)));
}

}  // namespace
}  // namespace kvplace
