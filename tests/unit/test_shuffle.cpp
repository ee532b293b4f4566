// A shuffle that is the same everywhere.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/shuffle.h"

namespace kvplace {
namespace {

std::vector<std::uint32_t> shuffled(std::size_t size, unsigned seed) {
  std::vector<std::uint32_t> values(size);
  std::iota(values.begin(), values.end(), 0U);
  std::mt19937 engine(seed);
  shuffle(std::span(values), engine);
  return values;
}

TEST(Shuffle, HasAKnownOrder) {
  EXPECT_EQ(shuffled(10, 1), (std::vector<std::uint32_t>{9, 0, 2, 5, 7, 4, 6, 3, 1, 8}));
}

TEST(Shuffle, KeepsAllValues) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{70'000}}) {
    std::vector<std::uint32_t> values = shuffled(size, 2);
    std::sort(values.begin(), values.end());
    for (std::size_t i = 0; i < size; ++i) {
      ASSERT_EQ(values[i], i);
    }
  }
}

TEST(Shuffle, PutsAValueEverywhereEquallyOften) {
  constexpr unsigned kShuffles = 20'000;
  std::vector<unsigned> at(5);
  for (unsigned seed = 0; seed < kShuffles; ++seed) {
    const std::vector<std::uint32_t> values = shuffled(at.size(), seed);
    ++at[static_cast<std::size_t>(std::find(values.begin(), values.end(), 3U) - values.begin())];
  }
  for (const unsigned count : at) {
    EXPECT_NEAR(count, kShuffles / 5.0, 5 * 57);  // five standard deviations
  }
}

#ifdef __GLIBCXX__
// Where schedules were made first.
TEST(Shuffle, IsThatOfLibstdcxx) {
  for (const std::size_t size : {std::size_t{2}, std::size_t{7}, std::size_t{1000}, std::size_t{65'535},
                                 std::size_t{65'536}, std::size_t{200'001}}) {
    std::vector<std::uint32_t> values(size);
    std::iota(values.begin(), values.end(), 0U);
    std::shuffle(values.begin(), values.end(), std::mt19937(3));
    EXPECT_EQ(shuffled(size, 3), values) << size;
  }
}
#endif

}  // namespace
}  // namespace kvplace
