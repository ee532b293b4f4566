// The verifier's pass over a layer's blocks: every version of it against the two numbers per block that it stands for.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "bound/dispatch/move_kernel.h"

namespace kvplace {
namespace {

/// Least costs of a block's paths, by where it is.
struct Paths {
  std::int64_t far;
  std::int64_t near;
  std::int64_t arriving;
};

Paths moved(const Paths& before, const Moves& moves, bool arrives, bool again) {
  const std::int64_t not_near = arrives ? std::min(before.far, before.arriving) : before.far;
  Paths after{std::min(not_near + moves.far_to_far, before.near + moves.near_to_far),
              std::min(before.far + moves.far_to_near, before.near + moves.near_to_near), 0};
  if (arrives) {
    after.arriving = std::min(not_near + moves.far_to_near, before.arriving + moves.arriving_to_near);
    if (again) {
      after.arriving = std::min(after.arriving, before.near + moves.near_to_arriving);
    }
    after.near = std::min(after.arriving, before.near + moves.near_to_near);
  }
  return after;
}

RC_GTEST_PROP(MoveKernels, KeepTheCostsOfEveryPath, ()) {
  std::mt19937_64 random(*rc::gen::arbitrary<std::uint64_t>());
  const auto draw = [&random](int most_bits) { return static_cast<std::int64_t>(random() >> (64 - most_bits)); };
  const int bits = *rc::gen::inRange(2, 50);
  const bool arrives = *rc::gen::arbitrary<bool>();
  const bool again = *rc::gen::arbitrary<bool>();
  const Moves moves{0, draw(bits), draw(bits), draw(bits), draw(bits), again ? draw(bits) : Moves::kNever};
  std::vector<Paths> paths;
  std::vector<std::int64_t> near;
  std::vector<std::int64_t> arriving;
  for (std::size_t i = *rc::gen::inRange<std::size_t>(0, 70); i > 0; --i) {
    const Paths path{draw(bits), draw(bits), draw(bits)};
    paths.push_back(path);
    near.push_back(path.near - path.far);
    arriving.push_back(path.arriving - path.far);
  }
  std::vector<std::int64_t> wide_near = near;
  std::vector<std::int64_t> wide_arriving = arriving;
  std::int64_t more = 0;
  for (Paths& path : paths) {
    const Paths after = moved(path, moves, arrives, again);
    more += after.far - path.far;
    path = after;
  }
  RC_ASSERT(move_kernel()({near.data(), arrives ? arriving.data() : nullptr, near.size()}, moves) == more);
  RC_ASSERT(move_blocks_wide({wide_near.data(), arrives ? wide_arriving.data() : nullptr, near.size()}, moves) == more);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    RC_ASSERT(near[i] == paths[i].near - paths[i].far);
    RC_ASSERT(!arrives || arriving[i] == paths[i].arriving - paths[i].far);
  }
  RC_ASSERT(near == wide_near);
  RC_ASSERT(!arrives || arriving == wide_arriving);
}

}  // namespace
}  // namespace kvplace
