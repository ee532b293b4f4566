/// The kernel of each instruction set, whether this processor has it or not.
#pragma once

#include "policy/support/dispatch/value_kernel.h"

namespace kvplace {

extern const ValueKernel kValueKernelPortable;
extern const ValueKernel kValueKernelAvx2;    ///< defined for x86-64 only
extern const ValueKernel kValueKernelAvx512;  ///< the same

}  // namespace kvplace
