// A twin behaves like the real trace it was fitted to, when measured by other code than fitted it.
#include <gtest/gtest.h>

#include <cmath>

#include "kvplace/generate/twin.h"
#include "kvplace/trace/statistics.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

constexpr const char* kBundled = KVPLACE_SOURCE_DIR "/data/smollm2-holmes-page16-k64.kvt";
constexpr double kClose = 0.10;
constexpr std::uint64_t kReads = 2'000'000;  // about a quarter of the trace, to be quick

class BundledTwin : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { twin_ = new Twin(Twin::fit(TraceReader::open(kBundled).value(), {}, kReads).value()); }
  static void TearDownTestSuite() {
    delete twin_;
    twin_ = nullptr;
  }
  static Twin* twin_;
  testing::TempDir folder_;
};
Twin* BundledTwin::twin_ = nullptr;

void expect_close(double twin, double original, const std::string& what) {
  EXPECT_NEAR(twin / original, 1, kClose) << what << ": " << twin << " instead of " << original;
}

TEST_F(BundledTwin, ReportsAFitWithin10Percent) {
  const TwinReport& report = twin_->report();
  EXPECT_EQ(report.original_by_layer.size(), 30u);
  EXPECT_EQ(report.twin_by_layer.size(), 30u);
  expect_close(report.twin.overlap, report.original.overlap, "overlap");
  expect_close(report.twin.belady, report.original.belady, "Belady");
  for (std::size_t i = 0; i < report.lru_multiples.size(); ++i) {
    const std::string at = " at " + std::to_string(report.lru_multiples[i]) + " k";
    expect_close(report.twin.lru[i], report.original.lru[i], "LRU" + at);
    expect_close(report.twin_pooled[i], report.original_pooled[i], "LRU over all layers" + at);
  }
  for (std::size_t layer = 0; layer < 30; ++layer) {
    expect_close(report.twin_by_layer[layer].overlap, report.original_by_layer[layer].overlap,
                 "overlap of layer " + std::to_string(layer));
  }
  for (std::size_t i = 0; i < 7; ++i) {  // farther ones are too few to be compared
    expect_close(report.twin.reuse[i], report.original.reuse[i], "reuse distance 2^" + std::to_string(i));
  }
}

/// The statistics of `info` know nothing of the fit.
TEST_F(BundledTwin, TheWrittenTraceHasTheStatisticsReported) {
  const TwinReport& report = twin_->report();
  TwinShape shape;
  shape.steps = report.steps;
  const std::string path = folder_.path("twin.kvt");
  twin_->write(shape, path, {}, {}).value();
  const TraceReader trace = TraceReader::open(path).value();
  const TraceStatistics found = compute_statistics(trace, {}).value();
  EXPECT_EQ(trace.totals().reads, std::uint64_t{report.steps} * 30 * 64);
  EXPECT_NEAR(found.overlap, report.twin.overlap, 1e-9);
  for (std::size_t i = 0; i < report.lru_multiples.size(); ++i) {
    const auto capacity = static_cast<std::uint64_t>(report.lru_multiples[i] * 64);
    const auto at = std::find(found.lru.capacity_blocks.begin(), found.lru.capacity_blocks.end(), capacity);
    ASSERT_NE(at, found.lru.capacity_blocks.end());
    const auto j = static_cast<std::size_t>(at - found.lru.capacity_blocks.begin());
    EXPECT_NEAR(found.lru.miss_ratio[j], report.twin.lru[i], 1e-9);
    EXPECT_NEAR(found.lru_pooled.miss_ratio[j], report.twin_pooled[i], 1e-9);
  }
}

TEST_F(BundledTwin, ScalesToAnotherShape) {
  TwinShape shape;
  shape.prompt_tokens = 20000;
  shape.layers = 45;
  shape.steps = 50;
  shape.ranking_depth = 128;
  const std::string path = folder_.path("twin.kvt");
  const TraceTotals totals = twin_->write(shape, path, {}, {}).value();
  EXPECT_EQ(totals.steps, 50u);
  EXPECT_EQ(totals.blocks_per_layer, (20000u + 50 + 15) / 16);
  EXPECT_EQ(totals.reads, 45u * 50 * 64);
  const TraceReader trace = TraceReader::open(path).value();
  EXPECT_EQ(trace.meta().layers, 45u);
  EXPECT_EQ(trace.chunk(0).value().view(0, 44).ranking.size(), 128u);
}

TEST(Twin, IsMadeOfExpertsToo) {
  const testing::TempDir folder;
  testing::RandomTraceShape shape;
  shape.experts = 8;
  shape.steps = 60;
  const TraceReader trace = TraceReader::open(testing::write_random_trace(folder.path("t.kvt"), shape)).value();
  const Twin twin = Twin::fit(trace, {}).value();
  const TraceTotals totals = twin.write({}, folder.path("twin.kvt"), {}, {}).value();
  EXPECT_EQ(totals.steps, 60u);
  EXPECT_EQ(TraceReader::open(folder.path("twin.kvt")).value().meta().layout.experts, 8u);
}

TEST(Twin, RefusesWhatItCannotFit) {
  const testing::TempDir folder;
  testing::RandomTraceShape shape;
  shape.requests = 2;
  const auto message = [&] {
    const std::string path = testing::write_random_trace(folder.path("t.kvt"), shape);
    const Result<Twin> twin = Twin::fit(TraceReader::open(path).value(), {});
    return twin ? std::string() : twin.error().message;
  };
  EXPECT_NE(message().find("t.kvt: has pages of 2 requests"), std::string::npos) << message();
  shape.requests = 1;
  shape.steps = 1;
  EXPECT_NE(message().find("t.kvt: has fewer than two decode steps"), std::string::npos) << message();
}

}  // namespace
}  // namespace kvplace
