// The .kvt format: what is written is read back; what is damaged is recognised.
#include <gtest/gtest.h>

#include <random>

#include "kvplace/trace/next_reads.h"
#include "kvplace/trace/reader.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"
#include "trace/chunk_codec.h"

namespace kvplace {
namespace {

using testing::RandomTraceShape;
using testing::TempDir;

class Kvt : public ::testing::Test {
 protected:
  Kvt() {
    shape_.ranking = true;
    shape_.read_bytes = true;
    path_ = testing::write_random_trace(folder_.path("t.kvt"), shape_);
    bytes_ = TempDir::read(path_);
  }

  /// Opens and reads all chunks of a file with these contents.
  [[nodiscard]] Status read_all(const std::string& contents, bool recover = false) const {
    const std::string path = folder_.write("damaged.kvt", contents);
    KVPLACE_ASSIGN(trace, TraceReader::open(path, {recover}));
    return trace.verify_digest();
  }

  TempDir folder_;
  RandomTraceShape shape_;
  std::string path_;
  std::string bytes_;
};

TEST_F(Kvt, ManyChunksAndOneGiveTheSameDigest) {
  const Segment segment = testing::random_segment(shape_);
  const std::string one = testing::write_trace(folder_.path("one.kvt"), testing::meta_of(shape_), segment, 1u << 20);
  const TraceReader many_chunks = TraceReader::open(path_).value();
  const TraceReader one_chunk = TraceReader::open(one).value();
  EXPECT_GT(many_chunks.num_chunks(), 1u);
  EXPECT_EQ(one_chunk.num_chunks(), 1u);
  EXPECT_EQ(many_chunks.totals().digest, one_chunk.totals().digest);
  EXPECT_TRUE(many_chunks.verify_digest());
}

TEST_F(Kvt, TheDigestSeesEveryKindOfContents) {
  const std::string digest = TraceReader::open(path_).value().totals().digest;
  RandomTraceShape other = shape_;
  other.seed = 2;
  EXPECT_NE(TraceReader::open(testing::write_random_trace(folder_.path("seed.kvt"), other)).value().totals().digest,
            digest);
  other = shape_;
  other.ranking = false;
  EXPECT_NE(TraceReader::open(testing::write_random_trace(folder_.path("rank.kvt"), other)).value().totals().digest,
            digest);
  other = shape_;
  other.read_bytes = false;
  EXPECT_NE(TraceReader::open(testing::write_random_trace(folder_.path("bytes.kvt"), other)).value().totals().digest,
            digest);
}

TEST_F(Kvt, EveryTruncationIsRecognised) {
  for (std::size_t size = 0; size < bytes_.size(); size += 1 + size / 40) {
    const Status status = read_all(bytes_.substr(0, size));
    ASSERT_FALSE(status) << size;
    EXPECT_EQ(status.error().kind, ErrorKind::kBadInput) << size;
    EXPECT_NE(status.error().message.find("damaged.kvt"), std::string::npos) << status.error().message;
  }
}

TEST_F(Kvt, EveryFlippedByteIsRecognised) {
  for (std::size_t at = 0; at < bytes_.size(); ++at) {
    std::string flipped = bytes_;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    const Status status = read_all(flipped);
    ASSERT_FALSE(status) << "byte " << at;
    EXPECT_EQ(status.error().kind, ErrorKind::kBadInput) << at << ": " << status.error().message;
  }
}

TEST_F(Kvt, WholeChunksOfATruncatedTraceAreRead) {
  const std::string path = folder_.write("cut.kvt", bytes_.substr(0, bytes_.size() / 2));
  EXPECT_FALSE(TraceReader::open(path));
  const TraceReader cut = TraceReader::open(path, {true}).value();
  EXPECT_TRUE(cut.recovered());
  const TraceReader whole = TraceReader::open(path_).value();
  ASSERT_GT(cut.num_chunks(), 0u);
  ASSERT_LT(cut.num_chunks(), whole.num_chunks());
  for (std::size_t i = 0; i < cut.num_chunks(); ++i) {
    const Segment a = cut.chunk(i).value();
    const Segment b = whole.chunk(i).value();
    ASSERT_EQ(a.num_reads(), b.num_reads());
    for (std::uint32_t step = a.first_step(); step < a.end_step(); ++step) {
      for (std::uint32_t layer = 0; layer < a.layers(); ++layer) {
        EXPECT_TRUE(std::ranges::equal(a.view(step, layer).reads, b.view(step, layer).reads));
      }
    }
  }
}

TEST_F(Kvt, MeasurementsAreKeptAndDoNotChangeTheDigest) {
  TraceMeta meta = testing::meta_of(shape_);
  meta.measurements = {{"perplexity", 19.25}, {"repetition_rate", 1e-300}, {"with \"quotes\"", -3}};
  const Segment segment = testing::random_segment(shape_);
  const TraceReader trace = TraceReader::open(testing::write_trace(folder_.path("m.kvt"), meta, segment)).value();
  EXPECT_EQ(trace.meta().measurements, meta.measurements);
  EXPECT_EQ(trace.totals().digest, TraceReader::open(path_).value().totals().digest);
  meta.measurements["broken"] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(TraceWriter::create(folder_.path("m.kvt"), meta));
}

TEST_F(Kvt, NothingAppearsUnlessTheTraceIsFinished) {
  const std::string path = folder_.path("unfinished.kvt");
  {
    TraceWriter writer = TraceWriter::create(path, testing::meta_of(shape_)).value();
    ASSERT_TRUE(writer.add(testing::random_segment(shape_).view(0, 0)));
    EXPECT_FALSE(writer.finish());  // layers are missing
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(path).parent_path())) {
    EXPECT_EQ(entry.path().filename().string().find("unfinished"), std::string::npos);
  }
}

TEST(ChunkEncoder, DenseTracesCostAtMostTwoBitsPerBlockAndStep) {
  constexpr std::uint32_t kBlocks = 2000;
  constexpr std::uint32_t kSteps = 50;
  std::mt19937 random(3);
  TraceMeta meta;
  meta.layers = 1;
  ChunkEncoder encoder(meta);
  std::vector<BlockId> reads;
  for (std::uint32_t step = 0; step < kSteps; ++step) {
    reads.clear();
    for (std::uint32_t id = 0; id < kBlocks; ++id) {
      if (random() % 10 < 4) {  // no locality at all: the worst case
        reads.emplace_back(id);
      }
    }
    StepView record;
    record.step = StepIndex(step);
    record.reads = reads;
    encoder.add(record);
  }
  EXPECT_LE(encoder.payload_bytes() * 8, std::size_t{2} * kBlocks * kSteps);
}

class WriterRefuses : public ::testing::Test {
 protected:
  WriterRefuses() {
    TraceMeta meta;
    meta.layers = 1;
    meta.layout = {0, 1, 1, 4};
    writer_.emplace(TraceWriter::create(folder_.path("t.kvt"), meta).value());
  }

  std::string refusal(std::vector<BlockId> reads, std::vector<BlockId> appended, std::uint32_t step = 0) {
    StepView record;
    record.step = StepIndex(step);
    record.reads = reads;
    record.appended = appended;
    const Status status = writer_->add(record);
    return status ? std::string() : status.error().message;
  }

  TempDir folder_;
  std::optional<TraceWriter> writer_;
};

TEST_F(WriterRefuses, BlocksThatDoNotExist) {
  EXPECT_NE(refusal({BlockId(4)}, {}).find("block 4 is read before it exists"), std::string::npos);
  EXPECT_EQ(refusal({BlockId(3), BlockId(4)}, {BlockId(4)}), "");
  EXPECT_EQ(refusal({BlockId(4)}, {}, 1), "");
}

TEST_F(WriterRefuses, StepsOutOfOrderAndIdsOutOfOrder) {
  EXPECT_NE(refusal({}, {}, 1).find("out of order"), std::string::npos);
  EXPECT_NE(refusal({BlockId(2), BlockId(1)}, {}).find("ascending"), std::string::npos);
  EXPECT_NE(refusal({BlockId(1), BlockId(1)}, {}).find("unique"), std::string::npos);
}

TEST(NextReadsOfATrace, EqualBruteForce) {
  const TempDir folder;
  RandomTraceShape shape;
  shape.steps = 600;  // distances beyond a byte occur
  shape.prompt_tokens = 300;
  shape.keep = 0.3;
  const TraceReader trace = TraceReader::open(testing::write_random_trace(folder.path("t.kvt"), shape)).value();
  const NextReads next = NextReads::build(trace, {}).value();
  const Segment all = testing::random_segment(shape);
  const auto next_after = [&](std::uint32_t step, std::uint32_t layer, BlockId id) {
    for (std::uint32_t t = step; t < shape.steps; ++t) {
      if (std::ranges::binary_search(all.view(t, layer).reads, id)) {
        return t;
      }
    }
    return kNeverRead;
  };
  std::uint32_t longest = 0;
  for (std::size_t i = 0; i < trace.num_chunks(); ++i) {
    Segment segment = trace.chunk(i).value();
    ASSERT_TRUE(next.attach(i, segment));
    for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
      for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
        const StepView v = segment.view(step, layer);
        for (std::size_t r = 0; r < v.reads.size(); ++r) {
          ASSERT_EQ(v.next_read[r], next_after(step + 1, layer, v.reads[r]));
          longest = std::max(longest, v.next_read[r] == kNeverRead ? 0 : v.next_read[r] - step);
        }
        ASSERT_EQ(v.next_read_appended[0], next_after(step + 1, layer, v.appended[0]));
      }
    }
  }
  EXPECT_GT(longest, 255u);
  const std::uint32_t blocks = trace.totals().blocks_per_layer;
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
    for (std::uint32_t id = 0; id < blocks; ++id) {
      ASSERT_EQ(next.first_reads()[layer * blocks + id], next_after(0, layer, BlockId(id)));
    }
  }
}

}  // namespace
}  // namespace kvplace
