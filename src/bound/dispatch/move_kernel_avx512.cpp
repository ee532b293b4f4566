#include <algorithm>

#include "bound/dispatch/move_kernel.h"

namespace kvplace {
namespace {
#include "bound/dispatch/move_kernel_body.h"
}  // namespace

std::int64_t move_blocks_avx512(const BlockCosts& blocks, const Moves& moves);

std::int64_t move_blocks_avx512(const BlockCosts& blocks, const Moves& moves) {
  return move_blocks<std::int64_t>(blocks, moves);
}

}  // namespace kvplace
