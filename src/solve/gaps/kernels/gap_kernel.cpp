#include "solve/gaps/kernels/gap_kernel.h"

#include <vector>

#include "solve/gaps/kernels/gap_kernel_sets.h"

namespace kvplace {

std::span<const GapKernel> gap_kernels() {
  static const std::vector<GapKernel> kernels = [] {
    std::vector<GapKernel> usable;
#ifdef KVPLACE_X86_KERNELS
    if (__builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512dq") != 0) {
      usable.push_back(kGapKernelAvx512);
    }
    if (__builtin_cpu_supports("avx2") != 0) {
      usable.push_back(kGapKernelAvx2);
    }
#endif
    usable.push_back(kGapKernelPortable);
    return usable;
  }();
  return kernels;
}

}  // namespace kvplace
