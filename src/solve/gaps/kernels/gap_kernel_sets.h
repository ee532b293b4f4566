/// The kernel of each instruction set, whether this processor has it or not.
#pragma once

#include "solve/gaps/kernels/gap_kernel.h"

namespace kvplace {

extern const GapKernel kGapKernelPortable;
extern const GapKernel kGapKernelAvx2;    ///< defined for x86-64 only
extern const GapKernel kGapKernelAvx512;  ///< the same

}  // namespace kvplace
