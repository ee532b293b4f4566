// Progress without a terminal, on a clock that the test moves.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "progress_lines.h"

namespace kvplace::cli {
namespace {

class ProgressLinesTest : public ::testing::Test {
 protected:
  void pass(int seconds) { now_ += std::chrono::seconds(seconds); }

  ProgressLines::Clock::time_point now_;
  std::vector<std::string> written_;
  ProgressLines lines_{[this] { return now_; }, [this](const std::string& line) { written_.push_back(line); }};
};

TEST_F(ProgressLinesTest, ShortWorkIsSilent) {
  lines_.start("replaying", 100, "reads");
  for (std::uint64_t done = 0; done < 9; ++done) {
    pass(1);
    lines_.update(done);
  }
  lines_.finish();
  lines_.look();
  EXPECT_TRUE(written_.empty());
}

TEST_F(ProgressLinesTest, FirstAfterTenSecondsThenEveryThirty) {
  lines_.start("replaying", 10'000, "reads");
  std::vector<int> seconds;
  for (int second = 1; second <= 100; ++second) {
    pass(1);
    const std::size_t before = written_.size();
    lines_.update(static_cast<std::uint64_t>(second) * 10);
    if (written_.size() > before) {
      seconds.push_back(second);
    }
  }
  EXPECT_EQ(seconds, (std::vector<int>{10, 40, 70, 100}));
}

TEST_F(ProgressLinesTest, SaysWhatHowMuchAndHowLong) {
  pass(5);
  lines_.start("replaying", 4'000, "reads");
  pass(10);
  lines_.update(1'000);
  ASSERT_EQ(written_.size(), 1u);
  EXPECT_EQ(written_[0], "kvplace: 15 s: replaying, 25 % of 4,000 reads, 30 s left\n");
}

TEST_F(ProgressLinesTest, CountsWhereTheTotalIsUnknown) {
  lines_.start("checking the rows", 0, "rows");
  pass(20);
  lines_.update(12'345);
  ASSERT_EQ(written_.size(), 1u);
  EXPECT_EQ(written_[0], "kvplace: 20 s: checking the rows, 12,345 rows\n");
}

TEST_F(ProgressLinesTest, StagesShareTheIntervals) {
  for (int stage = 0; stage < 20; ++stage) {
    lines_.start("verifying", 10, "reads");
    pass(2);
    lines_.update(10);
    lines_.finish();
  }
  EXPECT_EQ(written_.size(), 2u);  // after 10 s and 40 s
}

TEST_F(ProgressLinesTest, SilentWorkIsLookedAtFromOutside) {
  lines_.start("verifying", 10, "reads");
  lines_.finish();
  lines_.figure("bound", 0.5);
  pass(12);
  lines_.look();
  lines_.look();
  ASSERT_EQ(written_.size(), 1u);
  EXPECT_EQ(written_[0], "kvplace: 12 s at work | bound 0.5 s\n");
}

}  // namespace
}  // namespace kvplace::cli
