// What a writer leaves when a trace cannot be finished, and measurements that come late.
#include <gtest/gtest.h>

#include "kvplace/trace/reader.h"
#include "kvplace/trace/writer.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

using testing::RandomTraceShape;
using testing::TempDir;

class UnfinishedTrace : public ::testing::Test {
 protected:
  /// A writer that has taken the first `records` records of a random trace, in many small chunks.
  TraceWriter written(const std::string& path, std::size_t records, std::uint32_t measurement_room = 0) {
    TraceWriterOptions options;
    options.chunk_bytes = 256;
    options.measurement_room = measurement_room;
    TraceWriter writer = TraceWriter::create(path, testing::meta_of(shape_), options).value();
    for (std::size_t i = 0; i < records; ++i) {
      const auto layers = static_cast<std::size_t>(segment_.layers());
      const Status added =
          writer.add(segment_.view(static_cast<std::uint32_t>(i / layers), static_cast<std::uint32_t>(i % layers)));
      EXPECT_TRUE(added);
    }
    return writer;
  }

  [[nodiscard]] std::size_t all() const { return std::size_t{segment_.num_steps()} * segment_.layers(); }

  RandomTraceShape shape_;
  Segment segment_ = testing::random_segment(shape_);
  TempDir folder_;
};

TEST_F(UnfinishedTrace, ItsWholeStepsAreRecovered) {
  const std::string path = folder_.path("t.kvt");
  TraceWriter writer = written(path, all());
  const PartialTrace kept = writer.keep_partial().value();
  EXPECT_EQ(kept.path, path);
  EXPECT_EQ(kept.steps, segment_.num_steps());
  const auto refused = TraceReader::open(path);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("truncated"), std::string::npos);
  const TraceReader trace = TraceReader::open(path, {.recover = true}).value();
  ASSERT_EQ(trace.totals().steps, segment_.num_steps());
  for (std::size_t i = 0; i < trace.num_chunks(); ++i) {
    const Segment chunk = trace.chunk(i).value();
    for (std::uint32_t step = chunk.first_step(); step < chunk.end_step(); ++step) {
      for (std::uint32_t layer = 0; layer < chunk.layers(); ++layer) {
        const auto reads = chunk.view(step, layer).reads;
        const auto expected = segment_.view(step, layer).reads;
        EXPECT_TRUE(std::equal(reads.begin(), reads.end(), expected.begin(), expected.end()));
      }
    }
  }
}

TEST_F(UnfinishedTrace, AStepThatLacksLayersIsLeftOut) {
  const std::string path = folder_.path("t.kvt");
  TraceWriter writer = written(path, all() - 1);
  const PartialTrace kept = writer.keep_partial().value();
  EXPECT_LT(kept.steps, segment_.num_steps());
  EXPECT_EQ(TraceReader::open(path, {.recover = true}).value().totals().steps, kept.steps);
}

TEST_F(UnfinishedTrace, AnOlderFileStays) {
  const std::string path = folder_.write("t.kvt", "older");
  TraceWriter writer = written(path, all());
  const PartialTrace kept = writer.keep_partial().value();
  EXPECT_EQ(kept.path, path + ".partial");
  EXPECT_EQ(TempDir::read(path), "older");
  EXPECT_EQ(TraceReader::open(kept.path, {.recover = true}).value().totals().steps, kept.steps);
}

TEST_F(UnfinishedTrace, NothingIsLeftOfNothing) {
  const std::string path = folder_.path("t.kvt");
  TraceWriter writer = written(path, 1);
  const PartialTrace kept = writer.keep_partial().value();
  EXPECT_EQ(kept.steps, 0u);
  EXPECT_EQ(kept.path, "");
  EXPECT_FALSE(TraceReader::open(path, {.recover = true}));
}

TEST_F(UnfinishedTrace, LateMeasurementsAreThoseOfTheTrace) {
  const std::string early = folder_.path("early.kvt");
  const std::string late = folder_.path("late.kvt");
  TraceWriter without = written(early, all());
  const TraceTotals totals = without.finish().value();
  TraceWriter with = written(late, all(), 60);
  ASSERT_TRUE(with.set_measurements({{"perplexity", 19.25}}));
  EXPECT_EQ(with.finish().value().digest, totals.digest);
  const TraceReader trace = TraceReader::open(late).value();
  EXPECT_EQ(trace.meta().measurements, (std::map<std::string, double>{{"perplexity", 19.25}}));
  EXPECT_TRUE(trace.verify_digest());
  EXPECT_TRUE(TraceReader::open(early).value().meta().measurements.empty());
}

TEST_F(UnfinishedTrace, MeasurementsThatDoNotFitAreRefused) {
  TraceWriter writer = written(folder_.path("t.kvt"), all(), 10);
  const Status status = writer.set_measurements({{"perplexity", 19.25}});
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("more than the metadata has room for"), std::string::npos);
  EXPECT_TRUE(writer.finish());
}

}  // namespace
}  // namespace kvplace
