#include "generate/depth_classes.h"

#include <cmath>

namespace kvplace::generate {

namespace {

/// The blocks of the last step are a budget, so that no depth is less. Bounds are dense where a few steps lead, and
/// among them are the capacities 1.5, 2, 3 and 4 at which LRU lists are compared.
constexpr std::array<double, kNumDepths> kBeyondBudget{
    0,       0,      1. / 64, 1. / 32, 1. / 16, 3. / 32, 1. / 8, 5. / 32, 3. / 16, 7. / 32, 1. / 4, 5. / 16, 3. / 8,
    7. / 16, 1. / 2, 9. / 16, 5. / 8,  3. / 4,  7. / 8,  1,      9. / 8,  5. / 4,  3. / 2,  7. / 4, 2,       2.5,
    3,       3.5,    4,       4.5,     5,       6,       7.5,    9,       11,      14,      18,     26};

}  // namespace

double least_multiple(std::size_t depth_class) { return 1 + kBeyondBudget.at(depth_class); }

DepthClasses::DepthClasses(double budget) : cohorts_(kMostSteps) {
  for (std::size_t i = 2; i < kNumDepths; ++i) {
    least_[i] = static_cast<std::uint32_t>(std::lround(budget * least_multiple(i)));
  }
}

}  // namespace kvplace::generate
