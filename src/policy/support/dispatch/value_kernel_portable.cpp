#include "policy/support/dispatch/value_kernel_sets.h"

namespace kvplace {
namespace {

using Floats = float __attribute__((vector_size(16)));
using Ints = std::int32_t __attribute__((vector_size(16)));
constexpr std::size_t kPortableLanes = 4;

inline std::uint32_t lanes_that_are(const Floats& lanes, float value) {
  std::uint32_t bits = 0;
  for (std::size_t lane = 0; lane < kPortableLanes; ++lane) {
    bits |= std::uint32_t{lanes[lane] == value} << lane;
  }
  return bits;
}

#include "policy/support/dispatch/value_kernel_body.h"
}  // namespace

const ValueKernel kValueKernelPortable{"portable", by_ranks, by_reads, take_lowest};

}  // namespace kvplace
