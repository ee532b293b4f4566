// Compiled with -mavx512f -mfma where the compiler has them (src/CMakeLists.txt); empty elsewhere.
#if defined(__AVX512F__) && defined(__FMA__)
#define KVPLACE_KERNEL_WIDTH 16
#define KVPLACE_KERNEL_NAME kAvx512Kernels
#define KVPLACE_KERNEL_TITLE "avx512"
#include "select/support/kernels_body.h"
#endif
