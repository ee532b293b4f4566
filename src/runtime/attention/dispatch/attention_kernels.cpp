#include "runtime/attention/dispatch/attention_kernels.h"

#include <vector>

namespace kvplace {

std::span<const AttentionKernels* const> all_attention_kernels() {
  static const std::vector<const AttentionKernels*> kAll = [] {
    std::vector<const AttentionKernels*> all;
#ifdef KVPLACE_X86_KERNELS
    if (__builtin_cpu_supports("avx512f") != 0) {
      all.push_back(&kAvx512Attention);
    }
    if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
        __builtin_cpu_supports("f16c") != 0) {
      all.push_back(&kAvx2Attention);
    }
#endif
    all.push_back(&kPortableAttention);
    return all;
  }();
  return kAll;
}

const AttentionKernels& attention_kernels() { return *all_attention_kernels().front(); }

}  // namespace kvplace
