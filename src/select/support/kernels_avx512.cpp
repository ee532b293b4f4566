// Compiled with -mavx512f -mfma where the compiler has them (src/CMakeLists.txt); empty elsewhere.
#if defined(__AVX512F__) && defined(__FMA__)
#define KVPLACE_KERNEL_WIDTH 16
#include "select/support/kernels_body.h"

namespace kvplace {
const Kernels kAvx512Kernels = {"avx512", dot, max, exp_sum, add_scaled, add_relu};
}
#endif
