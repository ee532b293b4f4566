// A slice holds the records of its part, and every block they read exists.
#include <gtest/gtest.h>

#include "kvplace/trace/slice.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

using testing::RandomTraceShape;
using testing::TempDir;

class Slice : public ::testing::TestWithParam<RandomTraceShape> {
 protected:
  TempDir folder_;
};

TEST_P(Slice, HoldsTheRecordsOfItsPart) {
  const TraceReader whole =
      TraceReader::open(testing::write_random_trace(folder_.path("whole.kvt"), GetParam())).value();
  const Segment segment = testing::random_segment(GetParam());
  for (const Stretch steps : {Stretch{0, 20}, Stretch{0, 1}, Stretch{7, 13}, Stretch{19, 20}}) {
    for (const Stretch layers : {Stretch{0, 3}, Stretch{1, 2}}) {
      const std::string path = folder_.path("part.kvt");
      const TraceTotals totals = slice_trace(whole, path, {steps, layers, {}}, {}).value();
      EXPECT_EQ(totals.steps, steps.end - steps.first);
      const TraceReader part = TraceReader::open(path).value();
      EXPECT_EQ(part.totals().digest, totals.digest);
      EXPECT_EQ(part.meta().layers, layers.end - layers.first);
      EXPECT_EQ(part.meta().measurements, whole.meta().measurements);
      if (GetParam().requests == 1) {
        EXPECT_EQ(part.meta().layout.prompt_tokens, GetParam().prompt_tokens + steps.first);
      }
      for (std::size_t i = 0; i < part.num_chunks(); ++i) {
        const Segment got = part.chunk(i).value();
        for (std::uint32_t step = got.first_step(); step < got.end_step(); ++step) {
          EXPECT_EQ(part.chunk_of(StepIndex(step)), i);
          for (std::uint32_t layer = 0; layer < got.layers(); ++layer) {
            const StepView a = got.view(step, layer);
            const StepView b = segment.view(step + steps.first, layer + layers.first);
            EXPECT_TRUE(std::ranges::equal(a.reads, b.reads));
            EXPECT_TRUE(std::ranges::equal(a.appended, b.appended));
            EXPECT_TRUE(std::ranges::equal(a.ranking, b.ranking));
            EXPECT_TRUE(std::ranges::equal(a.read_bytes, b.read_bytes));
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Slice,
                         ::testing::Values(RandomTraceShape{}, RandomTraceShape{.block_tokens = 16},
                                           RandomTraceShape{.experts = 4, .ranking = true, .read_bytes = true},
                                           RandomTraceShape{.prompt_tokens = 0}, RandomTraceShape{.requests = 3}));

TEST(SliceOfNothing, IsRefused) {
  const TempDir folder_;
  const TraceReader whole = TraceReader::open(testing::write_random_trace(folder_.path("whole.kvt"), {})).value();
  for (const Stretch bad : {Stretch{0, 21}, Stretch{5, 5}, Stretch{9, 8}}) {
    const auto sliced = slice_trace(whole, folder_.path("part.kvt"), {bad, std::nullopt, {}}, {});
    ASSERT_FALSE(sliced);
    EXPECT_EQ(sliced.error().kind, ErrorKind::kBadInput);
  }
  EXPECT_FALSE(slice_trace(whole, folder_.path("part.kvt"), {std::nullopt, Stretch{0, 4}, {}}, {}));
  EXPECT_FALSE(std::filesystem::exists(folder_.path("part.kvt")));
}

}  // namespace
}  // namespace kvplace
