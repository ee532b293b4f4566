#include "select/support/kernels.h"

#include <vector>

namespace kvplace {

std::span<const Kernels* const> all_kernels() {
  static const std::vector<const Kernels*> kAll = [] {
    std::vector<const Kernels*> all;
#if defined(__x86_64__)
    const bool has_fma = __builtin_cpu_supports("fma") != 0;
    if (has_fma && __builtin_cpu_supports("avx512f") != 0) {
      all.push_back(&kAvx512Kernels);
    }
    if (has_fma && __builtin_cpu_supports("avx2") != 0) {
      all.push_back(&kAvx2Kernels);
    }
#endif
    all.push_back(&kPortableKernels);
    return all;
  }();
  return kAll;
}

const Kernels& kernels() { return *all_kernels().front(); }

}  // namespace kvplace
