#include "policy/support/dispatch/value_kernel.h"

#include <vector>

#include "policy/support/dispatch/value_kernel_sets.h"

namespace kvplace {

std::span<const ValueKernel> value_kernels() {
  static const std::vector<ValueKernel> kKernels = [] {
    std::vector<ValueKernel> usable;
#ifdef KVPLACE_X86_KERNELS
    if (__builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512dq") != 0) {
      usable.push_back(kValueKernelAvx512);
    }
    if (__builtin_cpu_supports("avx2") != 0) {
      usable.push_back(kValueKernelAvx2);
    }
#endif
    usable.push_back(kValueKernelPortable);
    return usable;
  }();
  return kKernels;
}

}  // namespace kvplace
