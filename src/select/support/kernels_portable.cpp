#define KVPLACE_KERNEL_WIDTH 4
#define KVPLACE_KERNEL_NAME kPortableKernels
#define KVPLACE_KERNEL_TITLE "portable"
#include "select/support/kernels_body.h"
