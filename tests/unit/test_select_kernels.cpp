// Every version of the kernels that this machine runs, against plain loops in double precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "select/support/kernels.h"
#include "select/support/packed_rows.h"

namespace kvplace {
namespace {

std::vector<float> random_values(std::size_t count, float deviation = 1) {
  std::mt19937 engine(7);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (float& value : values) {
    value = normal(engine);
  }
  return values;
}

class Kernel : public ::testing::TestWithParam<const Kernels*> {};

TEST_P(Kernel, DotIsThatOfPlainLoops) {
  constexpr std::size_t kDim = 37;
  constexpr std::size_t kCount = 50;
  const std::vector<float> values = random_values(kDim * (kCount + kRows));
  PackedRows rows(kDim);
  for (std::size_t i = 0; i < kCount; ++i) {
    rows.add(std::span(values).subspan(i * kDim, kDim));
  }
  PackedQueries queries(kDim);
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t d = 0; d < kDim; ++d) {
      queries.at(r, d) = values[(kCount + r) * kDim + d];
    }
  }
  std::vector<float> out(kRows * padded(kCount));
  GetParam()->dot(rows.tiles(0), padded(kCount) / kLanes, kDim, queries.data(), out.data(), padded(kCount));
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t i = 0; i < padded(kCount); ++i) {
      double expected = 0;
      for (std::size_t d = 0; d < kDim && i < kCount; ++d) {
        expected += double{values[(kCount + r) * kDim + d]} * values[i * kDim + d];
      }
      ASSERT_NEAR(out[r * padded(kCount) + i], expected, 1e-4);
    }
  }
}

TEST_P(Kernel, ExpSumIsExp) {
  std::vector<float> row = random_values(160, 20);
  row[3] = -std::numeric_limits<float>::infinity();
  row[4] = -1e30F;
  const std::vector<float> before = row;
  const float max = GetParam()->max(row.data(), row.size());
  EXPECT_EQ(max, *std::max_element(before.begin(), before.end()));
  constexpr float kScale = 0.7F;
  const float sum = GetParam()->exp_sum(row.data(), row.size(), max, kScale);
  double expected_sum = 0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const double expected = std::exp(static_cast<double>((before[i] - max) * kScale));
    ASSERT_NEAR(row[i], expected, 2e-7 * expected + 2e-38) << before[i];
    expected_sum += expected;
  }
  EXPECT_EQ(row[3], 0);
  EXPECT_NEAR(sum, expected_sum, 1e-6 * expected_sum);
}

TEST_P(Kernel, NaNReachesTheSum) {
  std::vector<float> row(32, 1);
  row[17] = NAN;
  EXPECT_TRUE(std::isnan(GetParam()->exp_sum(row.data(), row.size(), 1, 1)));
  std::vector<float> sum(32, 0);
  GetParam()->add_relu(sum.data(), row.data(), row.size(), 1);
  EXPECT_TRUE(std::isnan(sum[17]));
}

TEST_P(Kernel, Sums) {
  const std::vector<float> row = random_values(48);
  std::vector<float> scaled = random_values(48, 3);
  std::vector<float> relu = scaled;
  const std::vector<float> before = scaled;
  GetParam()->add_scaled(scaled.data(), row.data(), row.size(), 0.3F);
  GetParam()->add_relu(relu.data(), row.data(), row.size(), -0.3F);
  for (std::size_t i = 0; i < row.size(); ++i) {
    ASSERT_NEAR(scaled[i], before[i] + 0.3 * row[i], 1e-6);
    ASSERT_NEAR(relu[i], before[i] - 0.3 * std::max(row[i], 0.0F), 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Kernel, ::testing::ValuesIn(all_kernels().begin(), all_kernels().end()),
                         [](const auto& test) { return std::string(test.param->name); });

}  // namespace
}  // namespace kvplace
