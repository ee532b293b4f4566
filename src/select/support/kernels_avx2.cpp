// Compiled with -mavx2 -mfma where the compiler has them (src/CMakeLists.txt); empty elsewhere.
#if defined(__AVX2__) && defined(__FMA__)
#define KVPLACE_KERNEL_WIDTH 8
#include "select/support/kernels_body.h"

namespace kvplace {
const Kernels kAvx2Kernels = {"avx2", dot, max, exp_sum, add_scaled, add_relu};
}
#endif
