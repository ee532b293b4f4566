// The trees that planners ask, against searches through plain arrays.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "base/earliest_tree.h"
#include "base/least_tree.h"
#include "base/room_tree.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kNone = 0xffffffff;
constexpr std::uint32_t kSizes[] = {1, 2, 3, 8, 13, 64, 100};

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(engine_() % bound); }

 private:
  std::mt19937 engine_;
};

TEST(EarliestTree, FindsTheFirstToBeginAndOfEqualsTheLeastNumber) {
  for (const std::uint32_t size : kSizes) {
    Random random(size);
    EarliestTree tree(size);
    std::vector<std::uint32_t> begins(size, kNone);
    for (int i = 0; i < 2000; ++i) {
      const std::uint32_t gap = random.below(size);
      if (random.below(3) > 0) {
        begins[gap] = random.below(10);  // many are equal
        tree.insert(gap, begins[gap]);
      } else {
        begins[gap] = kNone;
        tree.erase(gap);
      }
      const std::uint32_t first = random.below(size);
      const auto least = std::min_element(begins.begin() + first, begins.end());
      const auto expected = *least == kNone ? kNone : static_cast<std::uint32_t>(least - begins.begin());
      ASSERT_EQ(tree.from(first), expected) << size << " gaps, from " << first;
    }
  }
}

TEST(LeastTree, FindsTheLeastOfARangeTheFirstOrTheLastOfEquals) {
  for (const std::uint32_t size : kSizes) {
    Random random(size);
    LeastTree tree(size);
    std::vector<double> prices(size, std::numeric_limits<double>::infinity());
    for (int i = 0; i < 2000; ++i) {
      const std::uint32_t at = random.below(size);
      prices[at] = random.below(8);
      tree.set(at, prices[at]);
      ASSERT_EQ(tree.at(at), prices[at]);
      const std::uint32_t first = random.below(size);
      const std::uint32_t last = first + random.below(size - first);
      const auto begin = prices.begin() + first;
      const auto end = prices.begin() + last + 1;
      const auto least = std::min_element(begin, end);
      std::uint32_t last_of_equals = last;
      while (prices[last_of_equals] != *least) {
        --last_of_equals;
      }
      const LeastTree::Found front = tree.find<false>(first, last);
      ASSERT_EQ(front.price, *least);
      ASSERT_EQ(front.at, static_cast<std::uint32_t>(least - prices.begin())) << first << " to " << last;
      const LeastTree::Found back = tree.find<true>(first, last);
      ASSERT_EQ(back.price, *least);
      ASSERT_EQ(back.at, last_of_equals) << first << " to " << last;
    }
    EXPECT_EQ(tree.find<true>(1, 0).price, std::numeric_limits<double>::infinity());
  }
}

TEST(RoomTree, FindsBoundariesWithoutRoom) {
  for (const std::uint32_t size : kSizes) {
    Random random(size);
    constexpr std::int64_t kCapacity = 12;
    std::vector<std::int64_t> occupied(size);
    for (std::int64_t& row : occupied) {
      row = random.below(kCapacity + 1);
    }
    RoomTree tree(std::span<const std::int64_t>(occupied), kCapacity);
    for (int i = 0; i < 2000; ++i) {
      const std::uint32_t first = random.below(size);
      const std::uint32_t last = first + random.below(size - first);
      const std::int64_t amount = std::int64_t{random.below(7)} - 3;
      tree.add(first, last, amount);
      for (std::uint32_t row = first; row <= last; ++row) {
        occupied[row] += amount;
      }
      const std::uint32_t from = random.below(size);
      const std::int64_t more = 1 + random.below(6);
      const auto full = [&](std::uint32_t row) { return occupied[row] + more > kCapacity; };
      std::uint32_t first_full = from;
      while (first_full < size && !full(first_full)) {
        ++first_full;
      }
      std::uint32_t last_full = from + 1;
      while (last_full > 0 && !full(last_full - 1)) {
        --last_full;
      }
      ASSERT_EQ(tree.first_full(from, more), first_full < size ? first_full : kNone) << size << ", from " << from;
      ASSERT_EQ(tree.last_full(from, more), last_full > 0 ? last_full - 1 : kNone) << size << ", up to " << from;
    }
  }
}

}  // namespace
}  // namespace kvplace
