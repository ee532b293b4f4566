#include "solve/kernels/gap_kernel_sets.h"

namespace kvplace {
namespace {
#include "solve/kernels/gap_kernel_body.h"
}  // namespace

const GapKernel kGapKernelPortable{"portable", value};

}  // namespace kvplace
