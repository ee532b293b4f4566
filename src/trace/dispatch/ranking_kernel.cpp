#include "trace/dispatch/ranking_kernel.h"

namespace kvplace {

#ifdef KVPLACE_X86_KERNELS
void decode_rankings_avx512(OpenRanking& open);

RankingKernel ranking_kernel() {
  static const bool kUsable = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                              __builtin_cpu_supports("avx512vbmi") != 0 && __builtin_cpu_supports("avx512vbmi2") != 0;
  return kUsable ? decode_rankings_avx512 : nullptr;
}
#else
RankingKernel ranking_kernel() { return nullptr; }
#endif

}  // namespace kvplace
