#include "solve/gaps/kernels/gap_kernel_sets.h"

namespace kvplace {
namespace {
#include "solve/gaps/kernels/gap_kernel_body.h"
}  // namespace

const GapKernel kGapKernelAvx512{"avx512", value};

}  // namespace kvplace
