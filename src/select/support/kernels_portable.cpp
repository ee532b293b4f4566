#define KVPLACE_KERNEL_WIDTH 4
#include "select/support/kernels_body.h"

namespace kvplace {
const Kernels kPortableKernels = {"portable", dot, max, exp_sum, add_scaled, add_relu};
}
