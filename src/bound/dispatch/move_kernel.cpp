#include "bound/dispatch/move_kernel.h"

#include <algorithm>

namespace kvplace {
namespace {
#include "bound/dispatch/move_kernel_body.h"
}  // namespace

Int128 move_blocks_wide(const BlockCosts& blocks, const Moves& moves) { return move_blocks<Int128>(blocks, moves); }

#ifdef KVPLACE_X86_KERNELS
std::int64_t move_blocks_avx512(const BlockCosts& blocks, const Moves& moves);

MoveKernel<std::int64_t> move_kernel() {
  static const bool kUsable = __builtin_cpu_supports("avx512f") != 0;
  return kUsable ? move_blocks_avx512 : move_blocks<std::int64_t>;
}
#else
MoveKernel<std::int64_t> move_kernel() { return move_blocks<std::int64_t>; }
#endif

}  // namespace kvplace
