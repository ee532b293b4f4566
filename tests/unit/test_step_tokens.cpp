// Decode steps of several tokens: read back as written, in version 2 of the format alone; sliced, and generated.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "kvplace/generate/generate.h"
#include "kvplace/trace/slice.h"
#include "support/random_instance.h"
#include "trace/kvt_format.h"

namespace kvplace {
namespace {

using testing::RandomTraceShape;
using testing::TempDir;

class StepTokensTest : public ::testing::Test {
 protected:
  StepTokensTest() : path_(testing::write_random_trace(folder_.path("t.kvt"), shape_)) {}

  [[nodiscard]] Status read_all(const std::string& contents, bool recover = false) const {
    KVPLACE_ASSIGN(trace, TraceReader::open(folder_.write("other.kvt", contents), {recover}));
    return trace.verify_digest();
  }

  TempDir folder_;
  RandomTraceShape shape_{
      .steps = 30, .layers = 2, .block_tokens = 2, .ranking = true, .read_bytes = true, .tokens = 4};
  std::string path_;
};

void expect_equal(const StepView& a, const StepView& b) {
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_TRUE(std::ranges::equal(a.reads, b.reads));
  EXPECT_TRUE(std::ranges::equal(a.appended, b.appended));
  EXPECT_TRUE(std::ranges::equal(a.written_tokens, b.written_tokens));
  EXPECT_TRUE(std::ranges::equal(a.ranking, b.ranking));
  EXPECT_TRUE(std::ranges::equal(a.read_bytes, b.read_bytes));
}

TEST_F(StepTokensTest, AreReadBack) {
  const TraceReader trace = TraceReader::open(path_).value();
  EXPECT_GT(trace.num_chunks(), 1U);
  EXPECT_TRUE(trace.verify_digest());
  const Segment written = testing::random_segment(shape_);
  std::uint64_t decoded = 0;
  double verified = 0;
  for (std::size_t chunk = 0; chunk < trace.num_chunks(); ++chunk) {
    const Segment all = trace.chunk(chunk).value();
    const Segment without_rankings = trace.chunk(chunk, ChunkParts::kWithoutRankings).value();
    for (std::uint32_t step = all.first_step(); step < all.end_step(); ++step) {
      EXPECT_EQ(trace.totals().tokens_before(step), decoded);
      for (std::uint32_t layer = 0; layer < all.layers(); ++layer) {
        expect_equal(all.view(step, layer), written.view(step, layer));
        EXPECT_EQ(without_rankings.view(step, layer).tokens, written.view(step, layer).tokens);
      }
      decoded += written.view(step, 0).tokens.decoded;
      verified += written.view(step, 0).tokens.verified;
    }
  }
  EXPECT_EQ(trace.totals().tokens(), decoded);
  EXPECT_DOUBLE_EQ(trace.totals().verified_per_step(), verified / shape_.steps);
}

TEST_F(StepTokensTest, AreOfVersionTwo) {
  EXPECT_EQ(TempDir::read(path_)[8], 2);
  RandomTraceShape one = shape_;
  one.tokens = 1;
  const TraceReader trace = TraceReader::open(testing::write_random_trace(folder_.path("one.kvt"), one)).value();
  EXPECT_EQ(TempDir::read(trace.path())[8], 1);
  EXPECT_EQ(trace.totals().tokens(), 30U);
  EXPECT_EQ(trace.totals().step_tokens, nullptr);
}

TEST_F(StepTokensTest, ADamagedFileIsRecognised) {
  const std::string bytes = TempDir::read(path_);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    ASSERT_FALSE(read_all(flipped)) << "byte " << at;
  }
}

TEST_F(StepTokensTest, ATruncatedFileStillTellsThem) {
  const std::string bytes = TempDir::read(path_);
  const std::string cut = folder_.write("cut.kvt", bytes.substr(0, bytes.size() / 2));
  EXPECT_FALSE(TraceReader::open(cut));
  const TraceReader recovered = TraceReader::open(cut, {true}).value();
  const Segment written = testing::random_segment(shape_);
  ASSERT_GT(recovered.totals().steps, 0U);
  ASSERT_LT(recovered.totals().steps, shape_.steps);
  ASSERT_EQ(recovered.totals().step_tokens->size(), recovered.totals().steps);
  for (std::uint32_t step = 0; step < recovered.totals().steps; ++step) {
    EXPECT_EQ((*recovered.totals().step_tokens)[step], written.view(step, 0).tokens);
  }
}

TEST_F(StepTokensTest, WhatANewerFileNeedsIsNamed) {
  std::string bytes = TempDir::read(path_);
  bytes.replace(bytes.find("[\"tokens\"]"), 10, "[\"tokenz\"]");
  std::uint32_t length = 0;
  std::memcpy(&length, bytes.data() + 12, sizeof length);
  const std::uint64_t sum = kvt::checksum(std::as_bytes(std::span(bytes.data(), 16 + length)));
  std::memcpy(bytes.data() + 16 + length, &sum, sizeof sum);
  const Status status = read_all(bytes);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("needs \"tokenz\""), std::string::npos) << status.error().message;
}

TEST_F(StepTokensTest, TheWriterRefusesWhatContradictsItself) {
  TraceMeta meta;
  meta.layers = 2;
  meta.layout.prompt_tokens = 4;
  meta.has_tokens = true;
  const std::vector<BlockId> appended{BlockId(4)};
  const auto refused = [&](StepTokens tokens, const std::vector<std::uint32_t>& written, bool has_tokens = true) {
    meta.has_tokens = has_tokens;
    TraceWriter writer = TraceWriter::create(folder_.path("w.kvt"), meta).value();
    StepView record;
    record.tokens = tokens;
    record.appended = appended;
    record.written_tokens = written;
    const Status first = writer.add(record);
    record.layer = LayerIndex(1);
    record.tokens = {1, 2};
    return !first || !writer.add(record);
  };
  EXPECT_FALSE(refused({1, 2}, {2}));
  EXPECT_TRUE(refused({2, 3}, {2}));  // other than in layer 1
  EXPECT_TRUE(refused({0, 2}, {2}));
  EXPECT_TRUE(refused({3, 2}, {2}));
  EXPECT_TRUE(refused({1, 2}, {3}));
  EXPECT_TRUE(refused({1, 2}, {0}));
  EXPECT_TRUE(refused({1, 2}, {1, 1}));
  EXPECT_TRUE(refused({1, 2}, {2}, false));
}

TEST_F(StepTokensTest, ASliceKeepsThem) {
  const TraceReader whole = TraceReader::open(path_).value();
  const Segment written = testing::random_segment(shape_);
  SliceOptions options;
  options.steps = Stretch{7, 19};
  static_cast<void>(slice_trace(whole, folder_.path("part.kvt"), options, {}).value());
  const TraceReader part = TraceReader::open(folder_.path("part.kvt")).value();
  const Segment got = testing::all_records(part);
  for (std::uint32_t step = 0; step < 12; ++step) {
    for (std::uint32_t layer = 0; layer < 2; ++layer) {
      expect_equal(got.view(step, layer), written.view(step + 7, layer));
    }
  }
  const std::uint64_t before = shape_.prompt_tokens + whole.totals().tokens_before(7);
  EXPECT_GE(part.meta().layout.prompt_tokens, before);
  EXPECT_LE(part.meta().layout.prompt_tokens, before + shape_.tokens);  // pages of rejected tokens exist as well
}

TEST(TokensPerStep, ReadWhatAnyOfAsManyTokensReads) {
  const TempDir folder;
  GeneratorConfig config;
  config.layers = 2;
  config.prompt_tokens = 90;
  config.block_tokens = 4;
  config.steps = 24;
  config.ranking_depth = 12;
  config.budget.blocks = 8;
  static_cast<void>(generate_trace(config, folder.path("one.kvt"), {}, {}).value());
  config.steps = 8;
  config.tokens_per_step = 3;
  static_cast<void>(generate_trace(config, folder.path("three.kvt"), {}, {}).value());
  const TraceReader one = TraceReader::open(folder.path("one.kvt")).value();
  const TraceReader three = TraceReader::open(folder.path("three.kvt")).value();
  EXPECT_EQ(three.totals().tokens(), 24U);
  EXPECT_EQ(three.totals().blocks_per_layer, one.totals().blocks_per_layer);
  const Segment tokens = testing::all_records(one);
  const Segment steps = testing::all_records(three);
  for (std::uint32_t step = 0; step < 8; ++step) {
    for (std::uint32_t layer = 0; layer < 2; ++layer) {
      std::set<BlockId> reads;
      std::set<BlockId> ranked;
      std::map<BlockId, std::uint32_t> written;
      for (std::uint32_t token = 3 * step; token < 3 * step + 3; ++token) {
        const StepView view = tokens.view(token, layer);
        reads.insert(view.reads.begin(), view.reads.end());
        ranked.insert(view.ranking.begin(), view.ranking.end());
        ++written[view.appended.front()];
      }
      const StepView view = steps.view(step, layer);
      EXPECT_EQ(view.tokens, (StepTokens{3, 3}));
      EXPECT_TRUE(std::ranges::equal(view.reads, reads));
      EXPECT_EQ(std::set<BlockId>(view.ranking.begin(), view.ranking.end()), ranked);
      EXPECT_EQ(view.ranking.size(), ranked.size());
      EXPECT_EQ(view.ranking.front(), tokens.view(3 * step, layer).ranking.front());
      ASSERT_EQ(view.appended.size(), written.size());
      for (std::size_t i = 0; i < view.appended.size(); ++i) {
        EXPECT_EQ(view.written_tokens[i], written[view.appended[i]]);
      }
    }
  }
}

}  // namespace
}  // namespace kvplace
