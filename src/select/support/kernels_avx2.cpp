// Compiled with -mavx2 -mfma where the compiler has them (src/CMakeLists.txt); empty elsewhere.
#if defined(__AVX2__) && defined(__FMA__)
#define KVPLACE_KERNEL_WIDTH 8
#define KVPLACE_KERNEL_NAME kAvx2Kernels
#define KVPLACE_KERNEL_TITLE "avx2"
#include "select/support/kernels_body.h"
#endif
